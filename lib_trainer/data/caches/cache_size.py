"""How much memory cached latents need, before they are made; and how much there is."""
from __future__ import annotations

from collections.abc import Iterable

from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.sample import Placed

_NUMBERS = 2 * 4
"""Per latent pixel: mean and standard deviation of four channels."""

_FLOAT = 4
_PIXELS = 8 * 8
"""Per latent pixel."""

_BESIDE = 2_000
"""Bytes that an entry costs beside its numbers: names and tensor objects, measured."""


def looks(rules: PictureRules) -> int:
    """Returns how many looks of a picture are kept at most; 0 = it is not cached."""
    if not rules.can_be_cached:
        return 0
    return max(1, rules.variants if rules.draws else 1) * (2 if rules.flip else 1)


def latents(pictures: Iterable[Placed]) -> int:
    """Returns the bytes of the cached latents of some pictures, in memory or on disk."""
    total = 0
    for picture in pictures:
        rules = picture.item.subset.pictures
        width, height = picture.placement.bucket
        numbers = (_NUMBERS + rules.has_masks) * width * height // _PIXELS
        total += looks(rules) * (numbers * _FLOAT + _BESIDE)
    return total


def free_memory() -> int | None:
    """Returns the bytes that programs may still take without swapping, None where that cannot be told."""
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)
