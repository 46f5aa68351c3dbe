"""Sizes of the pictures and of the buckets, crops, masks, and what is cached of them."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.data.picture_rules import Colour
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


def parse_face_crop(text: str) -> tuple[float, float] | None:
    """Returns how many faces long a face crop is, least and most, of "2.0,4.0"; None of an empty text.

    Raises:
        UserError: not two numbers above 0, the smaller one first.
    """
    if not text.strip():
        return None
    try:
        least, most = (float(part) for part in text.split(","))
    except ValueError:
        least = most = 0.0
    if not 0 < least <= most < 1000:
        raise UserError(f"face_crop = {text!r}: Face crop must be two numbers above 0, the smaller one first, such as "
                        "2.0,4.0.")
    return least, most


def parse_background(text: str) -> Colour:
    """Returns red, green and blue of "255,255,255" or "#ffffff".

    Raises:
        UserError: not such a text.
    """
    numbers = re.fullmatch(r"\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*", text)
    digits = re.fullmatch(r"\s*#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})\s*", text)
    if digits:
        red, green, blue = (int(part, 16) for part in digits.groups())
        return red, green, blue
    if numbers and max(map(int, numbers.groups())) <= 255:
        red, green, blue = map(int, numbers.groups())
        return red, green, blue
    raise UserError(f"background = {text!r}: Background must be red,green,blue, each from 0 to 255, such as "
                    "255,255,255 for white, or #ffffff.")


def _crops(config: TrainConfig) -> Iterator[str]:
    for parse, text in ((parse_face_crop, config.face_crop), (parse_background, config.background)):
        try:
            parse(text)
        except UserError as error:
            yield str(error)


def _masks(config: TrainConfig) -> Iterator[str]:
    if config.mask_folder and not config.masked_loss:
        yield "mask_folder is given, but masked_loss is off: switch 'Masked loss' on, or leave the mask folder empty."


def _caches(config: TrainConfig) -> Iterator[str]:
    if config.cache_to_disk and not config.cache_latents:
        yield "cache_to_disk is on, but cache_latents is off: switch 'Cache latents' on, or 'Keep the cache' off."
    if config.cache_captions_to_disk and not config.cache_captions:
        yield ("cache_captions_to_disk is on, but cache_captions is off: switch 'Cache captions' on, or 'Keep the "
               "caption cache' off.")
    if config.cache_variants and not config.cache_latents:
        yield (f"cache_variants = {config.cache_variants}, but cache_latents is off: switch 'Cache latents' on, or set "
               "0.")


def _resolution(config: TrainConfig) -> Iterator[str]:
    try:
        parse_resolution(config.resolution)
    except UserError as error:
        yield str(error)


RULES: Rules = (
    (_resolution, ("resolution",)),
    (_crops, ("face_crop", "background")),
    (_masks, ("mask_folder", "masked_loss")),
    (_caches, ("cache_latents", "cache_to_disk", "cache_captions", "cache_captions_to_disk", "cache_variants")),
)
