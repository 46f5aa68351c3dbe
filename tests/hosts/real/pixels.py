"""Comparing pictures."""
from __future__ import annotations

import numpy
from PIL import Image

TOLERANCE = 2
"""Levels of 255 by which a pixel may differ between live adapters (a sum of two layers' results) and the host's own
merge of the file (a sum of weights): fp32 rounds the two differently, and 8-bit pictures round once more."""


def same(a: Image.Image, b: Image.Image) -> bool:
    """Whether two pictures are equal, pixel for pixel."""
    return a.size == b.size and a.tobytes() == b.tobytes()


def differ(a: Image.Image, b: Image.Image) -> bool:
    """Whether anyone could see a difference: more than the tolerance."""
    return furthest(a, b) > TOLERANCE


def close(a: Image.Image, b: Image.Image) -> bool:
    """Whether two pictures are equal but for rounding."""
    return furthest(a, b) <= TOLERANCE


def furthest(a: Image.Image, b: Image.Image) -> int:
    """The largest difference of a channel, 0 to 255."""
    first, second = (numpy.asarray(picture.convert("RGB"), dtype=numpy.int16) for picture in (a, b))
    return int(numpy.abs(first - second).max())
