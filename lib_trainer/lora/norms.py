"""How strongly a LoRA file acts in each block of the model: the bars behind the block editor's sliders.

A block's norm is the Frobenius norm of all its layers' weight deltas together, the strength in the tag not included.
Working it out reads the whole file once, so the answer is kept: in memory, and on the disk in the host's cache folder.
"""
from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.blocks.layers import block_of
from lib_trainer.lora import keys
from lib_trainer.lora.tensor_reader import TensorReader

_VERSION = 1
"""Of the formulas: a new one makes the answers on the disk old."""


@dataclass(frozen=True)
class BlockNorms:
    """The norms of one file.

    Attributes:
        norms: norm by block name, for the blocks in which the file has layers; "" holds the layers in no block.
        approximate: layers whose norm is an approximation (`delta_norms`).
        unknown: layers that are not counted, because they are of no known kind, incomplete, or no numbers (nan).
    """

    norms: dict[str, float]
    approximate: int = 0
    unknown: int = 0


class NormsCache:
    """Norms of files, each worked out once for as long as the file stays as it is; for use by several threads."""

    def __init__(self, folder: Path) -> None:
        """Keeps what it works out under `folder`, which is made when it is needed."""
        self._folder = folder / "block-norms"
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[list[int], BlockNorms]] = {}

    def of(self, path: Path, arch: str) -> BlockNorms:
        """Returns the norms of a file; a second caller waits until the first one's answer is there.

        Args:
            path: a LoRA file.
            arch: "sd15" or "sdxl", the file's.

        Raises:
            UserError: the file cannot be read.
        """
        stamp = _stamp(path)
        with self._lock:
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                norms = self._stored(path, stamp)
                if norms is None:
                    norms = block_norms(path, arch)
                    self._store(path, stamp, norms)
                self._known[path] = (stamp, norms)
            return self._known[path][1]

    def _place(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"

    def _stored(self, path: Path, stamp: list[int]) -> BlockNorms | None:
        """Returns the answer on the disk; None when there is none, or one about another state of the file."""
        try:
            stored = json.loads(self._place(path).read_text(encoding="utf8"))
            return BlockNorms(**stored["answer"]) if stored["stamp"] == stamp else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _store(self, path: Path, stamp: list[int], norms: BlockNorms) -> None:
        """Writes the answer whole; where the folder cannot be written it lives in memory only."""
        place = self._place(path)
        temporary = place.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(
                json.dumps({"file": str(path), "stamp": stamp, "answer": dataclasses.asdict(norms)}), encoding="utf8")
            os.replace(temporary, place)


def _stamp(path: Path) -> list[int]:
    """What tells one state of a file from another; a missing file is complained about by whoever reads it."""
    try:
        state = path.stat()
    except OSError:
        return [_VERSION]
    return [_VERSION, state.st_mtime_ns, state.st_size]


def block_norms(path: Path, arch: str) -> BlockNorms:
    """Works out the norms of a file, one layer in memory at a time.

    Args:
        path: a LoRA file.
        arch: "sd15" or "sdxl", the file's.

    Raises:
        UserError: the file cannot be read.
    """
    from lib_trainer.lora import delta_norms

    squares: dict[str, float] = {}
    approximate = unknown = 0
    with TensorReader(path) as reader:
        for layer, parts in keys.by_layer({name: name for name in reader.names}).items():
            measured = delta_norms.measure({part: reader.read(name) for part, name in parts.items()})
            if measured is None or not math.isfinite(measured.squared):
                unknown += 1
                continue
            block = block_of(layer, arch) or ""
            squares[block] = squares.get(block, 0.0) + measured.squared
            approximate += not measured.exact
    return BlockNorms({block: math.sqrt(square) for block, square in squares.items()}, approximate, unknown)
