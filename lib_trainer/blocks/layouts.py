"""The blocks of the U-Net and the lists of numbers that people write for them.

A Stable Diffusion U-Net goes down through input blocks (IN), through the middle (M00) and up through output blocks
(OUT); BASE stands for the text encoder. A list of block weights names every block by its place, and its length tells
which blocks it names: 17 are those in which an ordinary SD 1.x LoRA has layers, 26 are all of SD 1.x, 12 and 20 are the
same two lists for SDXL, whose U-Net ends at IN08 and OUT08. A list sets the blocks that it does not name to 0.

sd-scripts counts blocks for training in its own way: 25 for SD 1.x and 23 for SDXL, without the text encoder (which
keeps 1), and for SDXL finer: the embeddings (EMBED), the three parts of the middle (MID0, MID1, MID2) and what follows
the last block (FINAL) have numbers of their own.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def _numbered(prefix: str, numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{prefix}{number:02}" for number in numbers)


BASE = "BASE"
MIDDLE = "M00"

BLOCKS_26: tuple[str, ...] = (BASE, *_numbered("IN", range(12)), MIDDLE, *_numbered("OUT", range(12)))
_BLOCKS_20: tuple[str, ...] = (BASE, *_numbered("IN", range(9)), MIDDLE, *_numbered("OUT", range(9)))
_BLOCKS_17: tuple[str, ...] = (BASE, *_numbered("IN", (1, 2, 4, 5, 7, 8)), MIDDLE, *_numbered("OUT", range(3, 12)))
_BLOCKS_12: tuple[str, ...] = (BASE, *_numbered("IN", (4, 5, 7, 8)), MIDDLE, *_numbered("OUT", range(6)))

LAYOUTS: dict[int, tuple[str, ...]] = {12: _BLOCKS_12, 17: _BLOCKS_17, 20: _BLOCKS_20, 26: BLOCKS_26}
"""The names that a list of each length gives its numbers to."""

FINE_MIDDLE: tuple[str, ...] = ("MID0", "MID1", "MID2")
"""The parts of M00: a resnet, the attention, a resnet."""

EMBED, FINAL = "EMBED", "FINAL"
"""The embeddings of time and size, and the last normalisation and convolution: in no block of other lists."""

FINE: tuple[str, ...] = (EMBED, *FINE_MIDDLE, FINAL)
"""Names finer than blocks, or beside them."""

SD_SCRIPTS: dict[int, tuple[str, ...]] = {
    25: BLOCKS_26[1:],
    23: (EMBED, *_numbered("IN", range(9)), *FINE_MIDDLE, *_numbered("OUT", range(9)), FINAL),
}
"""sd-scripts' order of the same blocks."""

FLUX_LENGTH = 61
"""Length of a list for Flux, which is recognised and refused."""

ARCH_LABELS: dict[str, str] = {"sd15": "SD 1.x", "sdxl": "SDXL"}

ARCH_BLOCKS: dict[str, tuple[str, ...]] = {"sd15": BLOCKS_26, "sdxl": _BLOCKS_20}
"""Every block that an architecture has."""

LORA_BLOCKS: dict[str, tuple[str, ...]] = {"sd15": _BLOCKS_17, "sdxl": _BLOCKS_12}
"""The blocks in which an ordinary LoRA (attention layers only) of an architecture has layers."""

ARCH_OF_LENGTH: dict[int, str] = {17: "sd15", 26: "sd15", 25: "sd15", 12: "sdxl", 20: "sdxl", 23: "sdxl"}
"""Which architecture a list of each length is made for."""


def names_of(length: int) -> tuple[str, ...]:
    """Returns the names that a list of this length gives its numbers to.

    Raises:
        KeyError: no list has this length.
    """
    return LAYOUTS[length] if length in LAYOUTS else SD_SCRIPTS[length]


def spread(items: Sequence[_Item], off: _Item, neutral: _Item) -> dict[str, _Item]:
    """Gives the items of a list to everything that has a name.

    Args:
        items: numbers, or their text, in the order of the layout of their count.
        off: the item of blocks that the list does not name.
        neutral: the item of what it does not speak of: EMBED and FINAL, and BASE in sd-scripts' order.

    Returns:
        an item for each of the 26 blocks and for each of FINE; M00 of a finer list is its attention's.
    """
    length = len(items)
    named = dict(zip(names_of(length), items, strict=True))
    if length in SD_SCRIPTS:
        named[BASE] = neutral
    middle = named.setdefault(MIDDLE, named.get(FINE_MIDDLE[1], off))
    blocks = {block: named.get(block, off) for block in BLOCKS_26}
    fine = {name: named.get(name, middle if name in FINE_MIDDLE else neutral) for name in FINE}
    return {**blocks, **fine}


def expand(values: Sequence[float], length: int) -> dict[str, float]:
    """Gives the numbers of a list to their blocks.

    Args:
        values: the numbers in the order of the layout.
        length: 12, 17, 20 or 26 (or sd-scripts' 23 or 25), the number of values.

    Returns:
        a number for each of the 26 blocks; 0 for those that the layout does not name.
    """
    if len(values) != length:
        raise ValueError(f"{len(values)} values for a list of {length}")
    named = spread(values, 0.0, 1.0)
    return {block: named[block] for block in BLOCKS_26}


def in_words(blocks: Iterable[str]) -> str:
    """Writes blocks as people do: "IN01-IN02, M00, OUT06-OUT11", neighbours of one kind joined."""
    chosen = set(blocks)
    runs: list[list[str]] = []
    last = ""
    for block in BLOCKS_26:
        if block in chosen:
            if last in chosen and last.rstrip("0123456789") == block.rstrip("0123456789"):
                runs[-1].append(block)
            else:
                runs.append([block])
        last = block
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
