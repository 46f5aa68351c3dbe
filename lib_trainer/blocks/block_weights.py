"""The numbers of a tag's block weights: from the text after `lbw=` to a weight for every block.

What a list means on an architecture it was not made for is told, with the list that says the same there.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lib_trainer.blocks.block_lists import BlockList, find_list, without_effect
from lib_trainer.blocks.conversion import converted, fitting_length
from lib_trainer.blocks.layouts import (
    ARCH_BLOCKS,
    ARCH_LABELS,
    ARCH_OF_LENGTH,
    BASE,
    BLOCKS_26,
    EMBED,
    FINAL,
    FINE,
    FINE_MIDDLE,
    LORA_BLOCKS,
    MIDDLE,
    in_words,
    names_of,
    spread,
)
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.randomness import Draw
from lib_trainer.blocks.values import Unreadable, is_random, is_variable, read_item, shortened
from lib_trainer.errors import UserError


@dataclass(frozen=True)
class BlockWeights:
    """Block weights in numbers.

    Attributes:
        ratios: the weight of every block of the architecture.
        fine: weights finer than blocks or beside them, where they differ from the block's (M00), or from 1.
        is_random: whether some were drawn.
        uses_x: whether some that act stand for the value of X.
        notes: sentences for the person.
    """

    ratios: dict[str, float]
    fine: dict[str, float]
    is_random: bool
    uses_x: bool
    notes: tuple[str, ...]


def read_block_weights(text: str, presets: Presets, arch: str, x: float, draw: Draw) -> BlockWeights:
    """Reads block weights.

    Args:
        text: a preset's name, a list, one item for all blocks, or one of them with named blocks.
        presets: where names are looked up.
        arch: "sd15" or "sdxl".
        x: the value of X.
        draw: draws random weights.

    Raises:
        UserError: a part cannot be read.
    """
    found = find_list(text, presets, arch)
    try:
        every = _numbers(found, x, draw)
    except Unreadable as fault:
        raise UserError(f"Block weights '{shortened(text)}' cannot be read: {fault}.") from None
    items = [*found.items, *(one.item for one in found.named)]
    # An X may be written for blocks that the model does not have, or that a later part names.
    uses_x = any(map(is_variable, items)) and _acting(every, arch) != _acting(_numbers(found, x + 1.0, draw), arch)
    return BlockWeights(
        *_acting(every, arch), any(map(is_random, items)), uses_x, tuple(_notes(found, every, arch)))


def _acting(every: Mapping[str, float], arch: str) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the numbers that act on a model: of its blocks, and of the finer places where they differ from those."""
    return {block: every[block] for block in ARCH_BLOCKS[arch]}, _fine(every)


def _numbers(found: BlockList, x: float, draw: Draw) -> dict[str, float]:
    """Gives a number to each of the 26 blocks and of FINE; M00 has that of its attention."""
    def number(item: str, block: str) -> float:
        return draw(item, block) if is_random(item) else read_item(item, x)

    every = _base_numbers(found.items, number)
    for one in found.named:
        try:
            every |= {block: number(one.item, block) for block in one.blocks}
        except Unreadable as fault:
            raise Unreadable(f"'{shortened(one.written)}': {fault}") from None
        if MIDDLE in one.blocks:
            every |= dict.fromkeys(FINE_MIDDLE, every[MIDDLE])
    return every | {MIDDLE: every[FINE_MIDDLE[1]]}


def _base_numbers(items: Sequence[str], number: Callable[[str, str], float]) -> dict[str, float]:
    if len(items) == 1:
        every = {block: number(items[0], block) for block in BLOCKS_26}
        return {**every, EMBED: 1.0, FINAL: 1.0, **dict.fromkeys(FINE_MIDDLE, every[MIDDLE])}
    numbers = []
    for place, (item, name) in enumerate(zip(items, names_of(len(items)), strict=True), start=1):
        try:
            numbers.append(number(item, name))
        except Unreadable as fault:
            raise Unreadable(f"number {place}: {fault}") from None
    return spread(numbers, 0.0, 1.0)


def _fine(every: Mapping[str, float]) -> dict[str, float]:
    usual = {name: every[MIDDLE] if name in FINE_MIDDLE else 1.0 for name in FINE}
    return {name: every[name] for name in FINE if every[name] != usual[name]}


def _notes(found: BlockList, every: Mapping[str, float], arch: str) -> list[str]:
    notes = _layout_notes(found, every, arch) if len(found.items) > 1 else []
    idle = [f"'{shortened(one)}'" for one in without_effect(found, (*ARCH_BLOCKS[arch], *FINE))]
    if idle:
        notes.append(f"{', '.join(idle)} of the block weights has no effect: {ARCH_LABELS[arch]} does not have these "
                     "blocks, or a later part names them.")
    return notes


def _layout_notes(found: BlockList, every: Mapping[str, float], arch: str) -> list[str]:
    """Tells where a list made for one architecture means something else on another, and what means the same there."""
    label, length = ARCH_LABELS[arch], len(found.items)
    named = names_of(length)
    later = {block for one in found.named for block in one.blocks}
    notes = []
    off = set(LORA_BLOCKS[arch]) - set(named) - later - {BASE, MIDDLE}
    if off:
        notes.append(f"{found.source} has {length} numbers, which do not name {in_words(off)}: on {label} these blocks "
                     "are off.")
    absent = [block for block in named if block in BLOCKS_26 and block not in ARCH_BLOCKS[arch]]
    if any(every[block] != 0 for block in absent if block not in later):
        notes.append(f"{found.source} names {in_words(absent)}, which {label} does not have: these numbers have no "
                     "effect.")
    if notes and ARCH_OF_LENGTH[length] != arch:
        wanted = fitting_length(length, arch)
        notes[-1] += (f" The same levels of the U-Net in {wanted} numbers: "
                      f"'lbw={','.join(converted(found.items, wanted))}'.")
    return [note[0].upper() + note[1:] for note in notes]
