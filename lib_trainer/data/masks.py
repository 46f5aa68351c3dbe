"""Masks: where in a picture the loss counts, as pictures beside it or as its own alpha channel.

A mask is grey: white counts, black does not, anything between counts in part. It goes through the very crop and
mirroring of its picture and is then averaged over the 8 x 8 pixels that a latent stands for. A mask of a folder may
have another size than its picture (it is stretched over it), not another shape.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib_trainer.data.item import Item
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.scanning.names import readable_endings
from lib_trainer.data.scanning.opening import UnreadablePicture, open_red, read_size
from lib_trainer.errors import UserError

LATENT = 8
"""Pixels per latent, along each side; the same in every family."""

_SHAPE = 0.02
"""Difference of aspect ratio (as a part of it) up to which a mask fits its picture: sides were rounded."""

_TOLD = 5
_READERS = 8


class MaskFolders:
    """The files of the mask folders of a run, by the stem of their picture; every folder is listed once."""

    def __init__(self) -> None:
        self._files: dict[Path, dict[str, Path]] = {}

    def file_of(self, item: Item) -> Path | None:
        """Returns the mask of a picture, None where its subset has no mask folder.

        Raises:
            UserError: the folder cannot be read, or holds no mask for the picture.
        """
        folder = item.subset.pictures.mask_folder
        if folder is None:
            return None
        files = self.files(folder)
        found = files.get(item.path.stem) or files.get(item.path.stem.casefold())
        if found is None:
            raise UserError(f"{item.path} has no mask: put a picture named '{item.path.stem}' into {folder}.")
        return found

    def files(self, folder: Path) -> dict[str, Path]:
        """Returns the pictures of a mask folder by stem, and by case-folded stem.

        Raises:
            UserError: the folder cannot be read.
        """
        if folder not in self._files:
            try:
                listed = sorted(path for path in folder.iterdir() if path.suffix.lower() in readable_endings())
            except OSError as error:
                raise UserError(f"The mask folder {str(folder)!r} cannot be read ({error.strerror}): check path and "
                                "rights.") from None
            exact = {path.stem: path for path in listed}
            self._files[folder] = {stem.casefold(): path for stem, path in exact.items()} | exact
        return self._files[folder]


def faults(items: Iterable[Item]) -> list[str]:
    """Returns one sentence per fault of the masks: no folder, no mask for a picture, a mask of another shape."""
    folders, found = MaskFolders(), list[str]()
    missing: dict[Path, list[Path]] = {}
    masked: list[tuple[Item, Path]] = []
    for item in items:
        folder = item.subset.pictures.mask_folder
        if folder is None:
            continue
        try:
            files = folders.files(folder)
        except UserError as error:
            found.append(str(error))
            continue
        mask = files.get(item.path.stem) or files.get(item.path.stem.casefold())
        if mask is None:
            missing.setdefault(folder, []).append(item.path)
        else:
            masked.append((item, mask))
    found += [f"{len(paths)} pictures have no mask of the same name in {str(folder)!r}, such as {_some(paths)}: add "
              "them (all white = everything counts)." for folder, paths in missing.items()]
    with ThreadPoolExecutor(_READERS) as pool:
        misshapen = [problem for problem in pool.map(_misshapen, masked) if problem]
    more = [f"... and {len(misshapen) - _TOLD} more masks like these."] if len(misshapen) > _TOLD else []
    return list(dict.fromkeys(found + misshapen[:_TOLD] + more))


def _some(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_TOLD])


def _misshapen(pair: tuple[Item, Path]) -> str:
    item, mask = pair
    try:
        width, height = read_size(mask)
    except UnreadablePicture as error:
        return f"The mask {mask} cannot be used: {error}."
    if abs(width * item.height / (height * item.width) - 1) <= _SHAPE:
        return ""
    return (f"The mask {mask} has {width}x{height} pixels, its picture {item.width}x{item.height}: make it of the same "
            "shape.")


def open_mask(file: Path) -> Image.Image:
    """Decodes a mask of a folder ("L").

    Raises:
        UserError: it was readable when the run began and is not now.
    """
    try:
        return open_red(file)
    except UnreadablePicture as error:
        raise UserError(f"The mask {file} cannot be used: {error}. Mend it and start again.") from None


def placed(mask: Image.Image | None, look: Look) -> torch.Tensor:
    """Returns a mask as its picture is seen: (1, h, w) float32 in 0..1, one number per latent; None = all ones.

    Args:
        mask: "L", of the whole picture, at any size.
        look: what was drawn for the picture.
    """
    (left, top), (width, height) = look.placement.crop, look.placement.bucket
    if mask is None:
        return torch.ones(1, height // LATENT, width // LATENT)
    if mask.size != look.placement.resized:
        # Bilinear with a window that grows when shrinking: never below black or above white, as Lanczos would be.
        mask = mask.resize(look.placement.resized, Image.Resampling.BILINEAR)
    cut = np.asarray(mask.crop((left, top, left + width, top + height)), dtype=np.float32) / 255.0
    pixels = torch.from_numpy(cut)[None]
    pooled = torch.nn.functional.avg_pool2d(pixels, LATENT)
    return pooled.flip(-1) if look.flip else pooled
