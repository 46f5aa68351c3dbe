"""LoRA files that are Python pickles (.pt, .ckpt, .bin, .pth), read without running anything that is in them.

Only torch's weights-only reader opens them, and only after the archive has been looked at: what it unpacks to must not
be more than the file itself has, and every tensor must be an ordinary one that lies within its own bytes.
"""
from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

ENDINGS = (".ckpt", ".pt", ".pth", ".bin")

_MAX_PICKLE = 64_000_000
"""Bytes of names and shapes: a LoRA has some hundred kilobytes."""


_STUMBLES = (
    pickle.UnpicklingError, ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError,
    MemoryError, OSError, RuntimeError, struct.error, TypeError, ValueError, zipfile.BadZipFile, zlib.error,
)
"""What torch's reader stumbles over in damaged files: it checks nothing and takes names and numbers as they come."""


def read(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a file into memory of their own.

    Raises:
        UserError: it is missing, damaged, needs code to be run, or claims more than it holds.
    """
    import torch

    size = _checked(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _STUMBLES as error:
        raise UserError(
            f"'{path}' cannot be read as weights alone ({_first_line(error)}): it is damaged, or it wants to run code. "
            "Use the .safetensors version of this LoRA."
        ) from error
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict):
        raise UserError(f"'{path}' holds no tensors by name: it is no LoRA. Choose another file.")
    tensors = {name: value for name, value in content.items()
               if isinstance(name, str) and isinstance(value, torch.Tensor)}
    strange = [name for name, tensor in tensors.items() if not _is_plain(tensor, size)]
    if strange:
        raise UserError(f"'{path}' is not to be trusted: {len(strange)} of its tensors, such as '{strange[0]}', claim "
                        "more than the file holds, or are of a special kind. Use the .safetensors version of it.")
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


def _checked(path: Path) -> int:
    """Returns the file's bytes, after a look at its archive.

    Raises:
        UserError: see `read`.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except OSError as error:
        raise UserError(f"Cannot read the file '{path}': {error.strerror or error}. Check the name and the folder."
                        ) from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, IndexError) as error:
        raise UserError(
            f"'{path}' is no file of PyTorch 1.6 or later, or it is damaged. Older files cannot be checked before they "
            "are opened: use the .safetensors version of this LoRA."
        ) from error
    unpacked = sum(entry.file_size for entry in entries)
    pickles = max((entry.file_size for entry in entries if entry.filename.endswith(".pkl")), default=0)
    if unpacked > size or pickles > _MAX_PICKLE:
        raise UserError(f"'{path}' is not to be trusted: its {size} bytes unpack to {unpacked}. Use the .safetensors "
                        "version of this LoRA.")
    return size


def _is_plain(tensor: Tensor, size: int) -> bool:
    """Whether a tensor is strided, on the CPU, and has no more numbers than the file can hold."""
    import torch

    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    return plain and not tensor.is_complex() and tensor.numel() * tensor.element_size() <= size


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
