"""Sizes of the pictures and of the buckets."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def parse_resolution(text: str) -> tuple[int, int] | None:
    """Returns width and height in pixels of "512" or "512,768" ("512x768"), None of an empty text.

    Raises:
        UserError: not such a text, not multiples of 8, too small or too big.
    """
    if not text.strip():
        return None
    parts = text.replace("x", ",").split(",")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise UserError(f"resolution = {text!r}: Resolution must be one number (512) or width,height (512,768).")
    width, height = sides[0], sides[-1]
    for side in (width, height):
        if side % 8 or not 64 <= side <= 8192:
            near = min(max(64, round(side / 8) * 8), 8192)
            raise UserError(f"resolution = {text!r}: {side} is not a multiple of 8 from 64 to 8192; use {near}.")
    return width, height


def _resolution(config: TrainConfig) -> Iterator[str]:
    try:
        parse_resolution(config.resolution)
    except UserError as error:
        yield str(error)


RULES: Rules = (
    (_resolution, ("resolution",)),
)
