"""Lists of block weights for other layouts and architectures, and the layout that fits a LoRA.

Between layouts of one architecture a list keeps its meaning: blocks that it does not name are 0. Between architectures
blocks correspond by the level of the U-Net on which they work: IN blocks count from the outside alike, and an OUT block
of SDXL is three further in SD 1.x (both have 320 channels at the end, 640 before, 1280 before that; SD 1.x has one more
level, which SDXL lacks). There a block that the list does not name takes the number of the nearest one of its side that
it names: a list for LoRAs of one architecture becomes a list for LoRAs of the other.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from lib_trainer.blocks.layers import block_of
from lib_trainer.blocks.layouts import ARCH_BLOCKS, ARCH_OF_LENGTH, FINE, LORA_BLOCKS, names_of, spread

_OFF, _NEUTRAL = "0", "1"
_SDXL_OUT_IS_FURTHER = 3


def converted(items: Sequence[str], length: int) -> tuple[str, ...]:
    """Writes a list in another layout.

    Args:
        items: 12, 17, 20, 23, 25 or 26 items as text: numbers, X, R, U.
        length: of the new list, one of the same.
    """
    return tuple(_named_like(items, length)[name] for name in names_of(length))


def lost(items: Sequence[str], length: int) -> tuple[str, ...]:
    """Names the parts of a list that its conversion cannot hold: those that would be otherwise in the new list.

    Of blocks that the other architecture lacks only those with a fraction are named: on and off say nothing there.
    """
    if ARCH_OF_LENGTH[len(items)] != ARCH_OF_LENGTH[length]:
        kept = {_counterpart(name, ARCH_OF_LENGTH[length]) for name in names_of(length)}
        return tuple(name for name, item in zip(names_of(len(items)), items, strict=True)
                     if name not in kept and item not in (_OFF, _NEUTRAL))
    before, after = (spread(one, _OFF, _NEUTRAL) for one in (items, converted(items, length)))
    names = (*ARCH_BLOCKS[ARCH_OF_LENGTH[length]], *FINE)
    return tuple(name for name in names if before[name] != after[name])


def fitting_length(length: int, arch: str) -> int:
    """Returns the length of the list that says the same for an architecture: 17 <-> 12, 26 <-> 20, 25 <-> 23."""
    pairs = ((17, 12), (26, 20), (25, 23))
    return next(pair[arch == "sdxl"] for pair in pairs if length in pair)


def layout_for(layers: Iterable[str], arch: str) -> int:
    """Returns the length of the shortest list that names every block in which a LoRA has layers.

    Args:
        layers: kohya layer names.
        arch: "sd15" or "sdxl".

    Returns:
        17 or 26 (SD 1.x), 12 or 20 (SDXL).
    """
    blocks = {block_of(layer, arch) for layer in layers} - {None}
    return len(LORA_BLOCKS[arch]) if blocks <= set(LORA_BLOCKS[arch]) else len(ARCH_BLOCKS[arch])


def _named_like(items: Sequence[str], length: int) -> dict[str, str]:
    """Returns the items by the names of the other layout's architecture."""
    source, target = ARCH_OF_LENGTH[len(items)], ARCH_OF_LENGTH[length]
    every = spread(items, _OFF, _NEUTRAL)
    if source == target:
        return every
    named = set(names_of(len(items)))
    same = {name: every[name] for name in ("BASE", "M00", *FINE)}
    return same | {name: every[_nearest(_counterpart(name, target), named)]
                   for name in ARCH_BLOCKS[target] if name not in same}


def _counterpart(name: str, arch: str) -> str:
    """Returns the block of the other architecture on the level of this block of `arch`."""
    if not name.startswith("OUT"):
        return name
    number = int(name[3:]) + (_SDXL_OUT_IS_FURTHER if arch == "sdxl" else -_SDXL_OUT_IS_FURTHER)
    return f"OUT{max(number, 0):02}"


def _nearest(block: str, named: set[str]) -> str:
    """Returns the block of the same side, among those that are named, with the nearest number."""
    side, number = block.rstrip("0123456789"), int(block[-2:])
    numbers = [int(name[-2:]) for name in named if name not in FINE and name.rstrip("0123456789") == side]
    return f"{side}{min(numbers, key=lambda one: (abs(one - number), one)):02}"


