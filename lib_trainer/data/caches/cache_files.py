"""Cached tensors on disk: one small safetensors file each, found by what it was made from.

A file's name is a digest of all that its numbers depend on (for latents the picture's bytes, its scaling, crop and
colours, mask and VAE; for text states the caption and the encoder), so an edited picture, another resolution or
another VAE never finds an old file. (sd-scripts names its files by the picture's size alone and so trains on stale
latents after a change of resolution.) A file is written under a name of its own, brought to the disk and then renamed,
so it is whole or not there, also when two programs write it at once or the power fails; a checksum tells one that was
damaged later.
"""
from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.data.picture_rules import Look, PictureRules
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    import torch

    Write = Callable[[Path, Mapping[str, torch.Tensor]], None]

ENDING = ".safetensors"
TEMPORARY = ".tmp"

_FORMAT = "2"
"""Part of every digest; raise it when pictures are read or scaled differently."""

_CHECKSUM = "crc32"
_WRITERS = 2
_WRITES_AHEAD = 16


def digest(*parts: object) -> str:
    """Returns the name of a file: hex SHA-256 of all that its tensors depend on, in words."""
    return hash_content("\x1f".join([_FORMAT, *map(str, parts)]).encode("utf8", "surrogatepass"))


def latents_name(picture: str, mask: str, look: Look, rules: PictureRules, vae: str) -> str:
    """Returns the name of the latents of one look of a picture.

    Args:
        picture: hash of the bytes of the picture file, from `hash_content`. mask: likewise, "" = no mask file.
        look: its scaling, crop, colours and mirroring.
        rules: its subset's; background, interpolation and alpha mask matter.
        vae: what tells this VAE, at this precision, from any other.
    """
    placement = look.placement
    return digest(
        "latents", picture, mask, placement.resized, placement.crop, placement.bucket, look.flip, look.hue, look.gamma,
        rules.background, rules.interpolation, rules.alpha_mask, vae,
    )


def hash_content(content: bytes) -> str:
    """Returns the hex SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


def place(folder: Path, name: str) -> Path:
    """Returns the file of a name; a level of sub-folders keeps listings short with tens of thousands of files."""
    return folder / name[:2] / (name + ENDING)


def is_there(file: Path) -> bool:
    """Whether a file exists and is as long as its own header says: enough to count on it; `read` looks at all of it."""
    try:
        with file.open("rb") as opened:
            head = opened.read(8)
            header = int.from_bytes(head, "little")
            if len(head) < 8 or header > 100_000:
                return False
            described = opened.read(header)
            size = os.fstat(opened.fileno()).st_size
    except OSError:
        return False
    return size == 8 + header + _extent(described)


def _extent(header: bytes) -> int:
    """Returns how many bytes of tensors a safetensors header describes, -1 when it is none."""
    import json

    try:
        entries = json.loads(header)
        return max(int(entry["data_offsets"][1]) for name, entry in entries.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return -1


def read(file: Path) -> dict[str, torch.Tensor] | None:
    """Returns the tensors of a file, None when it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(file.read_bytes())
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    told = tensors.pop(_CHECKSUM, None)
    return tensors if told is not None and told.numel() == 1 and int(told) == _checksum(tensors) else None


def write(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes tensors, whole or not at all.

    Raises:
        UserError: the disk is full or may not be written.
    """
    import torch
    from safetensors.torch import save

    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    checksum = torch.tensor([_checksum(whole)], dtype=torch.int64)
    # Of this thread of this process alone: two may write the same file at once, and the last one to rename it wins.
    temporary = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}{TEMPORARY}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as opened:
            opened.write(save({**whole, _CHECKSUM: checksum}))
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(temporary, file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UserError(
            f"The cache folder {file.parent.parent} cannot be written ({error.strerror}): make room or rights there, "
            "or switch keeping the cache on disk off."
        ) from None


@contextmanager
def writing() -> Iterator[Write]:
    """Lends a function that writes files on threads, few at a time; all are written when it is left.

    Raises:
        UserError: from the function or on leaving: the disk is full or may not be written.
    """
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_WRITERS) as pool:

        def written(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
            waiting.append(pool.submit(write, file, tensors))
            while len(waiting) > _WRITES_AHEAD or (waiting and waiting[0].done()):
                waiting.popleft().result()

        yield written
        while waiting:
            waiting.popleft().result()


def _checksum(tensors: Mapping[str, torch.Tensor]) -> int:
    import torch

    found = 0
    for name in sorted(tensors):
        # Read as bytes, since numpy has no bfloat16.
        flat = tensors[name].contiguous().reshape(-1).view(torch.uint8)
        found = zlib.crc32(flat.numpy().data, zlib.crc32(name.encode("utf8"), found))
    return found
