"""A checkpoint's file as a row of tensors, read one at a time: their names, dtypes and shapes first, then each by name.

A `.safetensors` file is read where it lies on the disk; a `.ckpt` is opened with torch's weights-only reader, which
runs no code, and mapped where torch can. Nothing is loaded that is not asked for, so merging into a checkpoint of
7 GB, or comparing two, needs the memory of a few tensors.
"""
from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lib_trainer.errors import UserError
from lib_trainer.lora.file import Header
from lib_trainer.lora.tensor_reader import DTYPES, TensorReader

if TYPE_CHECKING:
    from torch import Tensor

PICKLED = (".ckpt", ".pt", ".pth", ".bin")
"""Endings of files that are pickles of tensors."""


class Tensors(Protocol):
    """An open file."""

    @property
    def entries(self) -> Header:
        """Tensor name -> (dtype as safetensors writes it, shape), in the order of the file."""

    @property
    def metadata(self) -> dict[str, str]:
        """Text by text; a pickle has none."""

    def read(self, name: str) -> Tensor:
        """Reads a tensor as stored (CPU); it may be a view of the file.

        Raises:
            UserError: it cannot be read.
        """
        ...


@contextmanager
def opened(path: Path) -> Iterator[Tensors]:
    """Yields the tensors of a checkpoint, valid while open.

    Args:
        path: `.safetensors`, or a pickle of one of the endings PICKLED.

    Raises:
        UserError: the file is missing, damaged, or needs code to be run.
    """
    if not path.is_file():
        raise UserError(f"There is no checkpoint file '{path}'. Give the path of a .safetensors or .ckpt file.")
    if is_pickle(path):
        yield _Pickled(path)
    else:
        with TensorReader(path) as reader:
            yield reader


def is_pickle(path: Path) -> bool:
    """Whether a file is read as a pickle of weights."""
    return path.suffix.lower() in PICKLED


class _Pickled:
    """The tensors of a `.ckpt`, which has no metadata."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            UserError: it cannot be read as weights alone.
        """
        self._tensors = _weights_alone(path)
        words = {torch_name: word for word, torch_name in DTYPES.items()}
        self.metadata: dict[str, str] = {}
        self.entries: Header = {}
        for name, tensor in self._tensors.items():
            word = words.get(str(tensor.dtype).removeprefix("torch."))
            if word is None:
                raise UserError(f"The tensor '{name}' of '{path}' has the dtype {tensor.dtype}, which no .safetensors "
                                "file holds. Use the .safetensors version of this checkpoint.")
            self.entries[name] = (word, tuple(tensor.shape))

    def read(self, name: str) -> Tensor:
        """Returns a tensor, a view of the file where it is mapped."""
        return self._tensors[name]


def _weights_alone(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        content = _unpickled(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read as weights alone ({str(error)[:200]}). "
                        "Use the .safetensors version of this checkpoint.") from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    return {str(name): value for name, value in tensors.items() if isinstance(value, torch.Tensor)}


def _unpickled(path: Path) -> object:
    """Returns the content; files of torch before 1.6 cannot be mapped and are read whole."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, ValueError):
        return torch.load(path, map_location="cpu", weights_only=True)
