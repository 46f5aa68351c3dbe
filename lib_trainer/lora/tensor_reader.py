"""Reads the tensors of a LoRA file one after the other, so that a file of a gigabyte needs the memory of one layer.

The bytes are read, never mapped: a file that somebody replaces meanwhile cannot take the program down with it.
"""
from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.lora import file

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}
"""safetensors' names of dtypes -> torch's."""


class TensorReader:
    """An open file.

    Attributes:
        names: its tensor names, in the order of their bytes.
        entries: dtype (as safetensors writes it) and shape of each, in the same order.
        metadata: text by text.
    """

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            UserError: as `file.read_header`.
        """
        self._entries, self.metadata, self._start = file.header_entries(path)
        self.names = sorted(self._entries, key=lambda name: self._entries[name]["data_offsets"][0])
        self.entries: file.Header = {
            name: (self._entries[name]["dtype"], tuple(self._entries[name]["shape"])) for name in self.names}
        self._path = path
        self._file = path.open("rb")

    def __enter__(self) -> TensorReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def tensor_hash(self) -> str:
        """Returns the SHA-256 (hex) of the tensor area, as `file.tensor_hash`, of the very file that is open: one that
        takes its name meanwhile changes nothing.
        """
        digest = hashlib.sha256()
        self._file.seek(self._start)
        while piece := self._file.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest()

    def read(self, name: str) -> Tensor:
        """Reads a tensor into memory of its own, as stored.

        Raises:
            UserError: a dtype that torch does not have, or the file has been cut meanwhile.
        """
        import torch

        entry = self._entries[name]
        dtype = getattr(torch, DTYPES.get(entry["dtype"], ""), None)
        if dtype is None:
            raise UserError(f"The tensor '{name}' of the file '{self._path}' has the dtype '{entry['dtype']}', which "
                            "cannot be read: convert the file to F16 or F32.")
        begin, end = entry["data_offsets"]
        self._file.seek(self._start + begin)
        content = bytearray(self._file.read(end - begin))
        if len(content) != end - begin:
            raise UserError(f"The file '{self._path}' became shorter while it was read: try again when it is complete.")
        if not content:
            return torch.zeros(entry["shape"], dtype=dtype)
        return torch.frombuffer(content, dtype=torch.uint8).view(dtype).reshape(entry["shape"])
