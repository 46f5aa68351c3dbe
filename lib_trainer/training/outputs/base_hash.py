"""The checkpoint's SHA-256 for the metadata, computed beside the training instead of before it.

A checkpoint of 4 GB takes seconds to hash, so a thread does it, and the result is kept by path, time and size.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.training import config_values

_KEPT = "checkpoint_hashes.json"


@dataclass(frozen=True)
class Hashes:
    """Hashes of a checkpoint file; "" where the file cannot be read.

    Attributes:
        full: SHA-256, hex. legacy: WebUI's old 8 digits: SHA-256 of the 64 KiB that begin at 1 MiB.
    """

    full: str = ""
    legacy: str = ""


class BaseHash:
    """The hash of one checkpoint, waited for when it is asked."""

    def __init__(self, path: Path | None, cache: Path, ahead: bool = True) -> None:
        """Settles what is to be hashed.

        Args:
            path: the checkpoint; None = it has no file.
            cache: folder where the hash is kept.
            ahead: whether to begin at once. A training on the processor needs the cores itself: there it is begun when
                it is asked for.
        """
        self._path = path
        self._kept = cache / _KEPT
        self._hashes = Hashes()
        self._thread = threading.Thread(target=self._compute, name="checkpoint hash", daemon=True)
        if ahead:
            self._thread.start()

    def result(self) -> Hashes:
        """Returns the hashes; waits for them when they are not ready."""
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join()
        return self._hashes

    def _compute(self) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):  # a checkpoint that vanished is trained on all the same, without its hash
            facts = self._path.stat()
            identity = f"{self._path.resolve()}|{facts.st_mtime_ns}|{facts.st_size}"
            kept = _read(self._kept)
            if identity in kept:
                self._hashes = Hashes(**kept[identity])
                return
            self._hashes = _hash(self._path)
            kept[identity] = vars(self._hashes)
            with contextlib.suppress(UserError):  # kept for speed only
                config_values.write_file(self._kept, kept)


def _hash(path: Path) -> Hashes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(0x100000)
        legacy = hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
        file.seek(0)
        while block := file.read(1 << 20):
            digest.update(block)
    return Hashes(digest.hexdigest(), legacy)


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Returns what is kept; nothing where the file is missing or not ours."""
    try:
        kept = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}
    entries = kept.items() if isinstance(kept, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict) and entry.keys() == {"full", "legacy"}}
