"""The hashes by which other programs and sites know a file, each worked out as they do.

* SHA-256 of the whole file. AutoV2 is its first 10 digits (AUTOMATIC1111's "model hash", Civitai).
* SHA-256 of the tensors alone, whatever the metadata: kohya's `sshs_model_hash`. AutoV3 is its first 12 digits, what
  AUTOMATIC1111 writes into pictures as "Lora hashes".
* The old hash of 8 digits (AutoV1): SHA-256 of the 64 KiB that begin at 1 MiB; a smaller file has that of nothing.
  kohya's `sshs_legacy_hash` is the same of the file as it would be with its `ss_` metadata only.
* CRC-32 of the whole file, and BLAKE3 where that package is installed.

Standard library only; the file is read once, a piece at a time.
"""
from __future__ import annotations

import hashlib
import importlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lib_trainer.errors import UserError
from lib_trainer.lora import file, layout
from lib_trainer.workbench.operation import Operation, Outcome, Progress, finish

_PIECE = 1 << 20
_OLD_BEGIN, _OLD_BYTES = 0x100000, 0x10000

class Hash(Protocol):
    """What hashlib and blake3 have in common."""

    def update(self, data: bytes, /) -> object:
        """Goes on with the next bytes."""

    def hexdigest(self) -> str:
        """Returns the hash so far."""


@dataclass(frozen=True)
class HashOrder:
    """Whose hashes are wanted.

    Attributes:
        source: any file; the hashes of tensors are for .safetensors only.
    """

    source: Path


def hashes(path: Path) -> dict[str, str]:
    """Returns a file's hashes by the names that sites use, hexadecimal.

    Raises:
        UserError: the file cannot be read, or is a damaged .safetensors file.
    """
    return {name: str(value) for name, value in finish(run(HashOrder(path))).facts.items()}


def run(order: HashOrder) -> Operation:
    """Works the hashes out; the progress is in MB.

    Raises:
        UserError: as `hashes`.
    """
    path = order.source
    start = file.header_entries(path)[2] if path.suffix.lower() == ".safetensors" else None
    size = max(1, _size(path) >> 20)
    found = _Running(start)
    with path.open("rb") as opened:
        while piece := opened.read(_PIECE):
            found.update(piece)
            yield Progress(min(size, found.done >> 20), size, "Hashing")
    told = {"sha256": found.whole.hexdigest(), "autov1": old(path), "autov2": found.whole.hexdigest()[:10]}
    if start is not None:
        model = found.tensors.hexdigest()
        told |= {"autov3": model[:12], "sshs_model_hash": model, "sshs_legacy_hash": legacy(path)}
    told["crc32"] = f"{found.crc:08X}"
    return Outcome(facts=told | ({"blake3": found.blake3.hexdigest()} if found.blake3 else {}))


class _Running:
    """Hashes of what has been read so far."""

    def __init__(self, start: int | None) -> None:
        """Begins; `start` = where the tensors begin, None = the file has none."""
        self.whole, self.tensors, self.blake3 = hashlib.sha256(), hashlib.sha256(), _blake3()
        self.crc = self.done = 0
        self._start = start

    def update(self, piece: bytes) -> None:
        """Goes on with the next bytes."""
        self.whole.update(piece)
        if self._start is not None:
            self.tensors.update(piece[max(0, self._start - self.done):])
        if self.blake3 is not None:
            self.blake3.update(piece)
        self.crc = zlib.crc32(piece, self.crc)
        self.done += len(piece)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UserError(f"Cannot read the file '{path}': {error.strerror}. Check the name and the folder.") from error


def old(path: Path) -> str:
    """Returns the hash of 8 digits."""
    with path.open("rb") as opened:
        opened.seek(_OLD_BEGIN)
        return hashlib.sha256(opened.read(_OLD_BYTES)).hexdigest()[:8]


def legacy(path: Path, metadata: Mapping[str, str] | None = None) -> str:
    """Returns the hash of 8 digits of a .safetensors file as it would be with its `ss_` metadata only.

    Args:
        path: whose tensors. metadata: to take in place of its own.

    The metadata are taken in sorted order (`lora.layout`); kohya's own order is that of a hash map.

    Raises:
        UserError: the file is damaged.
    """
    header, own, start = file.header_entries(path)
    told = own if metadata is None else metadata
    text = layout.header_text(header, {key: value for key, value in told.items() if key.startswith("ss_")})
    head = (len(text).to_bytes(8, "little") + text)[_OLD_BEGIN:_OLD_BEGIN + _OLD_BYTES]
    with path.open("rb") as opened:
        opened.seek(start + max(0, _OLD_BEGIN - 8 - len(text)))
        return hashlib.sha256(head + opened.read(_OLD_BYTES - len(head))).hexdigest()[:8]


def _blake3() -> Hash | None:
    """Returns BLAKE3 where the package is installed; it is not asked for."""
    try:
        found: Hash = importlib.import_module("blake3").blake3()
    except ImportError:
        return None
    return found
