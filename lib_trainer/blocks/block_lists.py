"""Which list of block weights a text stands for: a preset's, the one written, or one with named blocks.

`ALL,OUT03-OUT05@0,MID@0.5` is a preset (or a list, or one number, or nothing, which means 1) and after it blocks with
their own weight; of two for one block the later acts. Colons and equals signs, at which the WebUIs cut a tag, are in
none of these forms.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_trainer.blocks.layouts import (
    ARCH_BLOCKS,
    ARCH_OF_LENGTH,
    BLOCKS_26,
    FINE,
    FINE_MIDDLE,
    FLUX_LENGTH,
    MIDDLE,
    names_of,
    spread,
)
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.blocks.values import PLACEHOLDERS, items_of, looks_like_item, shortened
from lib_trainer.errors import UserError


@dataclass(frozen=True)
class NamedBlocks:
    """Blocks with a weight of their own.

    Attributes:
        blocks: of the 26 and of FINE. item: their weight as text. written: both as written.
    """

    blocks: frozenset[str]
    item: str
    written: str


@dataclass(frozen=True)
class BlockList:
    """What block weights stand for, still as text.

    Attributes:
        items: one item for all blocks, or a list.
        source: what to call it in a sentence: "preset 'NCNF'".
        named: blocks with a weight of their own, in their order.
    """

    items: tuple[str, ...]
    source: str
    named: tuple[NamedBlocks, ...] = ()


def find_list(text: str, presets: Presets, arch: str) -> BlockList:
    """Finds the list that a text means.

    Args:
        text: the value of `lbw=`.
        presets: where names are looked up.
        arch: "sd15" or "sdxl": of presets with one name, the one for it is taken.

    Raises:
        UserError: an unknown preset, a wrong count, an unknown block.
    """
    preset = presets.get(text, arch)
    if preset is not None:
        return _checked(BlockList(preset.items, f"preset '{preset.name}'"), text)
    if "@" not in text:
        return _plain(text, presets)
    pieces = items_of(text)
    first = next(place for place, piece in enumerate(pieces) if "@" in piece)
    base = find_list(",".join(pieces[:first]), presets, arch) if first else BlockList(("1",), "1")
    return BlockList(base.items, base.source, tuple(_named(piece) for piece in pieces[first:]))


def by_block(found: BlockList, arch: str) -> dict[str, str]:
    """Returns the item of every block of an architecture, still as text: "0.5", "X", "R".

    Blocks that a list does not name have "0", and M00 has its attention's; what is finer is in the numbers alone.
    """
    items = found.items
    every = dict.fromkeys((*BLOCKS_26, *FINE_MIDDLE), items[0]) if len(items) == 1 else spread(items, "0", "1")
    for one in found.named:
        every |= dict.fromkeys(one.blocks, one.item)
    return {block: every[block] for block in ARCH_BLOCKS[arch]} | {MIDDLE: every[FINE_MIDDLE[1]]}


def _plain(text: str, presets: Presets) -> BlockList:
    items = items_of(text)
    if len(items) == 1 and not looks_like_item(text):
        raise UserError(presets.fault(text) or _unknown_preset(text, presets))
    return _checked(BlockList(items, f"'{shortened(text)}'"), text)


def _checked(found: BlockList, text: str) -> BlockList:
    count = len(found.items)
    if count == FLUX_LENGTH:
        raise UserError(f"'{shortened(text)}' has {FLUX_LENGTH} numbers, which is a list for Flux, and Flux is not "
                        "supported: use 12, 17, 20 or 26 numbers.")
    if count not in ARCH_OF_LENGTH and count != 1:
        raise UserError(f"Block weights need 12, 17, 20 or 26 numbers, got {count}: '{shortened(text)}'.")
    return found


def _named(piece: str) -> NamedBlocks:
    blocks, at, item = (part.strip() for part in piece.rpartition("@"))
    if not at or not blocks:
        raise UserError(f"'{shortened(piece)}' names no blocks with their weight: write such as OUT03-OUT05@0.")
    words = blocks.split()
    fine = {word.upper() for word in words} & set(FINE)
    others = " ".join(word for word in words if word.upper() not in fine)
    chosen = set(parse_blocks(others)) if others else set[str]()
    if MIDDLE in chosen:
        chosen.update(FINE_MIDDLE)
    return NamedBlocks(frozenset(chosen | fine), item, piece)


def _unknown_preset(name: str, presets: Presets) -> str:
    if not name:
        return "The block weights after 'lbw=' are missing: write a preset's name or 17 numbers."
    if name.upper() in PLACEHOLDERS:
        return (f"'{shortened(name)}' is the place that a plot of block weights fills; where no plot is drawn, it "
                "names no preset.")
    near, names = presets.near(name), presets.names
    if near:
        advice = f"did you mean '{near[0]}'?"
    elif names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        advice = f"known are {', '.join(names[:5])}{more}."
    else:
        advice = "the presets file has none."
    return f"Unknown block-weight preset '{shortened(name)}': {advice}"


def without_effect(found: BlockList, blocks: Sequence[str]) -> list[str]:
    """Names the parts of a text that come to nothing on an architecture, because of later ones or of its blocks.

    Args:
        blocks: what the architecture has, FINE included.
    """
    idle: list[str] = []
    open_ = set(blocks) - {MIDDLE}  # its three parts stand for it
    for one in reversed(found.named):
        if not one.blocks & open_:
            idle.append(one.written)
        open_ -= one.blocks
    based = {*BLOCKS_26, *FINE_MIDDLE, *(names_of(len(found.items)) if len(found.items) > 1 else ())}
    if found.named and not open_ & based:
        idle.append(found.source.removeprefix("preset ").strip("'"))
    return idle[::-1]
