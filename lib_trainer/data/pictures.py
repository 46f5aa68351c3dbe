"""From a picture file to the tensor the VAE sees: upright, scaled, cropped, perhaps mirrored, numbers in [-1, 1].

Scaling is Pillow's Lanczos in both directions: when shrinking it averages over all pixels that fall into a new one, so
that fine lines do not flicker. (sd-scripts shrinks with OpenCV's area average, which is a little softer.)
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from lib_trainer.data.buckets import Placement
from lib_trainer.data.opening import WHITE, UnreadablePicture, open_rgb
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.data.dataset import Sample


def load_pixels(
    path: Path,
    placement: Placement,
    flip: bool = False,
    *,
    content: bytes | None = None,
    background: tuple[int, int, int] = WHITE,
) -> torch.Tensor:
    """Loads one picture as its bucket wants it.

    Args:
        path: the picture file.
        placement: scaling and crop, from `Buckets.select`.
        flip: mirror left and right, after the crop.
        content: the file's bytes where the caller has read them already.
        background: colour (0..255) under transparent pixels.

    Returns:
        (3, H, W) float32 in [-1, 1], H and W of the bucket.

    Raises:
        UserError: the file was readable when the run began and is not now.
    """
    try:
        image = open_rgb(path, content, background)
    except UnreadablePicture as error:
        raise UserError(f"The picture {path} can no longer be used: {error}. Mend it and start again.") from None
    if image.size != placement.resized:
        image = image.resize(placement.resized, Image.Resampling.LANCZOS)
    (left, top), (width, height) = placement.crop, placement.bucket
    pixels = np.asarray(image.crop((left, top, left + width, top + height)), dtype=np.float32)
    tensor = torch.from_numpy(pixels / 127.5 - 1.0).permute(2, 0, 1)
    return (tensor.flip(-1) if flip else tensor).contiguous()


def load_batch(samples: Sequence[Sample]) -> torch.Tensor:
    """Loads the pictures of one batch: (B, 3, H, W) float32 in [-1, 1]; for runs without cached latents."""
    return torch.stack([load_pixels(sample.item.path, sample.placement, sample.flip) for sample in samples])
