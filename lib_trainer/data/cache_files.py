"""Cached latents on disk: one small safetensors file per picture, found by what it was made from.

The name is a digest of the picture's bytes, its scaling and crop, the mirroring and the VAE, so an edited picture,
another resolution or another VAE never finds an old file. (sd-scripts names its files by the picture's size alone and
so trains on stale latents after a change of resolution.) A file is written under another name first and then renamed,
so it is whole or not there; one that is broken all the same is made anew.
"""
from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.data.buckets import Placement
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    import torch

_FORMAT = "1"
"""Part of every digest; raise it when pictures are read or scaled differently."""


def digest(content_hash: str, placement: Placement, flip: bool, vae: str) -> str:
    """Returns the name of one picture's latents: hex SHA-256 of all they depend on.

    Args:
        content_hash: of the bytes of the picture file, from `hash_content`.
        placement: its scaling and crop.
        flip: whether it is mirrored.
        vae: what tells this VAE, at this precision, from any other.
    """
    parts = (_FORMAT, content_hash, placement.resized, placement.crop, placement.bucket, flip, vae)
    return hash_content("\x1f".join(map(str, parts)).encode("utf8"))


def hash_content(content: bytes) -> str:
    """Returns the hex SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


def read(file: Path, placement: Placement) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Returns mean and standard deviation (C, h, w) float32, or None when the file is missing or not usable."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(file.read_bytes())
        mean, std = tensors["mean"], tensors["std"]
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    width, height = placement.bucket
    if mean.ndim != 3 or mean.shape != std.shape or mean.shape[2] * height != mean.shape[1] * width:
        return None
    return mean, std


def write(file: Path, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Writes mean and standard deviation (C, h, w).

    Raises:
        UserError: the disk is full or may not be written.
    """
    from safetensors.torch import save

    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(save({"mean": mean.contiguous(), "std": std.contiguous()}))
        os.replace(temporary, file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UserError(
            f"The cache folder {file.parent.parent} cannot be written ({error.strerror}): make room or rights there, "
            "or switch 'Keep the cache' off."
        ) from None
