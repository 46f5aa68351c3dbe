"""Safetensors files written tensor by tensor: the header first, from names, dtypes and shapes, then each in turn.

The memory that is needed is that of one tensor, whatever the size of the file. The disk is asked for room before the
first byte; the file gets its name when all of it is on the disk, without overwriting, and is gone if anything goes
wrong on the way (a person cancels, the disk is full).
"""
from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lib_trainer.errors import UserError
from lib_trainer.lora import whole
from lib_trainer.lora.tensor_reader import DTYPES

if TYPE_CHECKING:
    from torch import Tensor

PRECISIONS = {"fp16": "F16", "bf16": "BF16", "fp32": "F32"}
"""A person's word -> safetensors'."""

AS_IT_IS = "as it is"
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""dtypes that a precision changes; whole numbers stay as they are."""

_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
"""Bytes of a number; 1 of any other dtype."""


@dataclass(frozen=True)
class Entry:
    """A tensor of the file: name, dtype as safetensors writes it, shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Bytes that it takes."""
        return math.prod(self.shape) * _BYTES.get(self.dtype, 1)


def converted(dtype: str, precision: str) -> str:
    """Returns the dtype of a tensor in a file of another precision; "as it is" and whole numbers keep theirs."""
    return PRECISIONS[precision] if precision != AS_IT_IS and dtype in FLOATS else dtype


def laid_out(entries: Iterable[Entry]) -> list[Entry]:
    """Returns the order in which tensors are written: as given, but wide numbers before narrow ones.

    So every tensor begins at a multiple of its numbers' width, as readers that map the file want it. Files written by
    safetensors itself are in such an order already and keep theirs.
    """
    return sorted(entries, key=lambda entry: -_BYTES.get(entry.dtype, 1))


class Writer:
    """The file being written; takes the tensors in the order that it was given."""

    def __init__(self, file: BinaryIO, entries: list[Entry]) -> None:
        self._file = file
        self._coming = iter(entries)

    def write(self, tensor: Tensor) -> None:
        """Writes the next tensor, rounded to its entry's dtype.

        Args:
            tensor: on any device, of the entry's shape.

        Raises:
            UserError: a number is too great for the dtype.
        """
        import torch

        entry = next(self._coming)
        if tuple(tensor.shape) != entry.shape:
            raise ValueError(f"{entry.name} is {list(tensor.shape)} instead of {list(entry.shape)}")
        rounded = tensor.detach().to("cpu", getattr(torch, DTYPES[entry.dtype])).contiguous()
        if rounded.dtype != tensor.dtype:
            _refuse_overflow(entry, tensor, rounded)
        self._file.write(rounded.reshape(-1).view(torch.uint8).numpy().data)


@contextmanager
def writing(
    path: Path, entries: list[Entry], metadata: Mapping[str, str], overwrite: bool = False
) -> Iterator[Writer]:
    """Yields the writer of a file; the file is there when the block ends well, and not at all otherwise.

    Args:
        path: the final file; a missing folder is made.
        entries: what it will hold, in the order of `laid_out`.
        metadata: text by text.
        overwrite: whether an existing file may be replaced (in one step, never half).

    Raises:
        UserError: the name is taken, the disk has no room, or the folder cannot be written.
    """
    header = _header(entries, metadata)
    size = len(header) + sum(entry.bytes for entry in entries)
    if path.exists() and not overwrite:
        raise whole.taken(path)
    require_room(path, size)
    with whole.writing(path, size, overwrite) as file:
        file.write(header)
        yield Writer(file, entries)


def require_room(path: Path, size: int) -> None:
    """Checks that a file's disk has room for it.

    Raises:
        UserError: it has not; says how much is missing.
    """
    existing = next(place for place in path.absolute().parents if place.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise UserError(f"The file '{path}' needs {size / 1e6:.1f} MB, and its disk has {free / 1e6:.1f} MB left. Free "
                        f"{(size - free) / 1e6:.1f} MB, or write to another disk.")


def _header(entries: list[Entry], metadata: Mapping[str, str]) -> bytes:
    """Returns length and header; the metadata are sorted, so that equal content gives equal bytes."""
    described: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    begin = 0
    for entry in entries:
        described[entry.name] = {
            "dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [begin, begin + entry.bytes]}
        begin += entry.bytes
    text = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode("utf8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _refuse_overflow(entry: Entry, tensor: Tensor, rounded: Tensor) -> None:
    """Refuses numbers that became infinite (or, in 8 bits, no numbers) by rounding.

    Raises:
        UserError: there are some.
    """
    import torch

    if entry.dtype not in FLOATS or not tensor.numel():
        return
    wide = tensor.float() if tensor.element_size() == 1 else tensor  # torch can only widen numbers of 8 bits
    greatest = max(abs(float(bound)) for bound in wide.aminmax())
    if greatest <= torch.finfo(rounded.dtype).max:
        return
    # A number a little above the greatest one is rounded to it; what is no number already stays none.
    if bool(wide.isfinite().all()) and not bool(rounded.float().isfinite().all()):
        raise UserError(f"The tensor '{entry.name}' has numbers (up to {greatest:g}) that are too great for "
                        f"{entry.dtype}. Choose another precision: bf16 and fp32 hold them.")
