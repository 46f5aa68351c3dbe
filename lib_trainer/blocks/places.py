"""Where each block lies in the U-Net: what a picture of it is drawn from, and what a block is called in words.

The U-Net halves its picture level by level on the way down (IN), works on the smallest one in the middle (M00) and
doubles it on the way up (OUT); what leaves a block on the way down also enters the block opposite on the way up.
"""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.blocks.layouts import ARCH_BLOCKS, BASE, LORA_BLOCKS, MIDDLE


@dataclass(frozen=True)
class Place:
    """A block's place.

    Attributes:
        block: its name.
        side: "base" (the text encoder), "in", "mid" or "out".
        row: 0 = where the picture enters and leaves; an IN and an OUT block of one row are opposite each other.
        level: how many times the picture has been halved where the block works.
        attention: whether the text acts in it.
        resamples: whether it also halves ("in") or doubles ("out") the picture.
    """

    block: str
    side: str
    row: int
    level: int
    attention: bool
    resamples: bool = False


def places(arch: str) -> list[Place]:
    """Returns the places of all blocks of an architecture ("sd15" or "sdxl"), in the order of its lists."""
    per_side = sum(block.startswith("IN") for block in ARCH_BLOCKS[arch])
    return [_place(block, per_side, block in LORA_BLOCKS[arch]) for block in ARCH_BLOCKS[arch]]


def _place(block: str, per_side: int, attention: bool) -> Place:
    """Three blocks make a level; the one that halves comes after the level's two others, so IN00 stands apart."""
    levels = per_side // 3
    if block == BASE:
        return Place(block, "base", -1, 0, attention)
    if block == MIDDLE:
        return Place(block, "mid", per_side, levels - 1, attention)
    number = int(block[-2:])
    if block.startswith("IN"):
        return Place(block, "in", number, max(0, number - 1) // 3, attention, number > 0 and number % 3 == 0)
    level = levels - 1 - number // 3
    return Place(block, "out", per_side - 1 - number, level, attention, number % 3 == 2 and level > 0)
