"""How far two pictures are apart: as a picture of the differences and as numbers.

The share of changed values is that of the LoRA Block Weight extension, so its users can compare: of all channel values
(three per pixel), how many differ by more than a threshold. The mean difference needs no threshold and tells small
changes apart that the share takes for none; blocks are ranked by it.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

THRESHOLD = 20
"""Difference of a channel value (0 to 255) above which it counts as changed."""

BLACK, WHITE = "black", "white"
GROUNDS = (BLACK, WHITE)
"""Colour of what is equal in a picture of differences."""


def difference(picture: Image, source: Image, ground: str = BLACK) -> Image:
    """Returns |picture - source|, RGB; on white ground its negative.

    Raises:
        UserError: the pictures differ in size, or the ground is unknown.
    """
    from PIL import Image as images

    if ground not in GROUNDS:
        raise UserError(f"The ground of difference pictures must be {' or '.join(GROUNDS)}, got '{ground}'.")
    apart = _apart(picture, source).astype(np.uint8)
    return images.fromarray(255 - apart if ground == WHITE else apart)


def changed(picture: Image, source: Image, threshold: int = THRESHOLD) -> float:
    """Returns how many of the channel values differ by more than the threshold, in percent.

    Args:
        threshold: 0 to 255.

    Raises:
        UserError: the pictures differ in size, or the threshold is out of range.
    """
    if not 0 <= threshold <= 255:
        raise UserError(f"The threshold of differences must be 0 to 255, got {threshold}.")
    return float((_apart(picture, source) > threshold).mean() * 100)


def mean(picture: Image, source: Image) -> float:
    """Returns the mean absolute difference of the channel values, in percent of their range.

    Raises:
        UserError: the pictures differ in size.
    """
    return float(_apart(picture, source).mean() / 255 * 100)


def _apart(picture: Image, source: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Returns the absolute differences (H, W, 3), 0 to 255."""
    if picture.size != source.size:
        raise UserError(f"Pictures of {picture.width}x{picture.height} and {source.width}x{source.height} pixels "
                        "cannot be compared: draw both in one size.")
    first, second = (np.asarray(image.convert("RGB"), dtype=np.int16) for image in (picture, source))
    return np.abs(first - second)
