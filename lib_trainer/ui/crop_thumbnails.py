"""Thumbnails that show what training sees of a picture: the bucket in bright colours, what is cut away darkened."""
from __future__ import annotations

import base64
import io
from functools import lru_cache

from PIL import Image, ImageDraw

from lib_trainer.data.sample import Placed
from lib_trainer.data.scanning.opening import UnreadablePicture, open_small

SIDE = 176
"""Pixels of a thumbnail's longer side."""

_DARK = 0.28
"""Brightness of what is cut away."""

_FRAME = (240, 125, 26)


def thumbnail(placed: Placed) -> str:
    """Returns a picture with its crop as a small JPEG data address, "" when it cannot be read (the run lists it)."""
    try:
        changed = placed.item.path.stat().st_mtime_ns
    except OSError:
        return ""
    return _thumbnail(placed, changed)


@lru_cache(maxsize=512)
def _thumbnail(placed: Placed, changed: int) -> str:
    """`changed` is there to be part of the cache's key, so that an edited picture is drawn anew."""
    try:
        image = open_small(placed.item.path, SIDE, placed.item.subset.pictures.background)
    except UnreadablePicture:
        return ""
    buffer = io.BytesIO()
    draw(image, placed).save(buffer, "JPEG", quality=84)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def draw(image: Image.Image, placed: Placed) -> Image.Image:
    """Returns a whole picture with what is cut away darkened, and a frame around what stays.

    Args:
        image: the picture at any size.
        placed: its scaling and crop.
    """
    box = crop_box(image.size, placed)
    dark = image.point(lambda value: int(value * _DARK))
    dark.paste(image.crop(box), box[:2])
    if box != (0, 0, *image.size):
        left, top, right, bottom = box
        ImageDraw.Draw(dark).rectangle((left, top, right - 1, bottom - 1), outline=_FRAME)
    return dark


def crop_box(size: tuple[int, int], placed: Placed) -> tuple[int, int, int, int]:
    """Returns left, top, right and bottom of the crop in a picture that was made `size` big."""
    placement = placed.placement
    wide, high = (now / then for now, then in zip(size, placement.resized, strict=True))
    left, top = round(placement.crop[0] * wide), round(placement.crop[1] * high)
    right = round((placement.crop[0] + placement.bucket[0]) * wide)
    bottom = round((placement.crop[1] + placement.bucket[1]) * high)
    return left, top, min(max(right, left + 1), size[0]), min(max(bottom, top + 1), size[1])
