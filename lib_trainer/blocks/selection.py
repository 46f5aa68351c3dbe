"""Which blocks to train, as a person writes them: "IN04-IN07, OUT03-OUT06", "MID", "IN04-07"."""
from __future__ import annotations

import difflib
import re

from lib_trainer.blocks.layouts import BASE, BLOCKS_26, MIDDLE
from lib_trainer.errors import UserError

_NUMBERED = re.compile(r"(IN|OUT|M)0*([0-9]{1,2})")

_ALIASES = {"MID": MIDDLE, "ENCODER": BASE}
"""Other words for blocks; `encoder` is what rules of the LoRA Block Weight extension call the text encoder."""


def parse_blocks(text: str, backwards: bool = False) -> frozenset[str]:
    """Reads a selection of blocks.

    Args:
        text: names and ranges with commas or spaces between them, in upper or lower case; a range follows the order
            BASE, IN00 ... IN11, M00 (or MID), OUT00 ... OUT11. IN and OUT are all of a kind. Empty means all blocks.
        backwards: whether a range may run backwards: OUT05-IN05 is IN05-OUT05 then.

    Returns:
        the chosen block names.

    Raises:
        UserError: a name is unknown or a range runs backwards; one sentence about all such pieces.
    """
    pieces = re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", text.strip()))
    if pieces == [""]:
        return frozenset(BLOCKS_26)
    chosen: set[str] = set()
    faults = []
    for piece in filter(None, pieces):
        try:
            chosen.update(_range(piece, backwards))
        except UserError as fault:
            faults.append(str(fault))
    if faults:
        raise UserError(" ".join(faults))
    return frozenset(chosen)


def _range(piece: str, backwards: bool) -> tuple[str, ...]:
    if piece.upper() in ("IN", "OUT"):
        return tuple(block for block in BLOCKS_26 if block.startswith(piece.upper()))
    first, dash, last = piece.partition("-")
    start = _block(first, piece)
    if not dash:
        return (start,)
    if last.isdigit():
        last = start.rstrip("0123456789") + last
    begin, end = BLOCKS_26.index(start), BLOCKS_26.index(_block(last, piece))
    if begin > end and backwards:
        begin, end = end, begin
    if begin > end:
        raise UserError(f"The range '{piece}' runs backwards: write {last.upper()}-{first.upper()}.")
    return BLOCKS_26[begin:end + 1]


def _block(written: str, piece: str) -> str:
    name = written.upper()
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        name = f"{numbered[1]}{int(numbered[2]):02}"
    name = _ALIASES.get(name, name)
    if name in BLOCKS_26:
        return name
    near = difflib.get_close_matches(name, BLOCKS_26, 1)
    advice = f"did you mean {near[0]}? " if near else ""
    place = f"'{written}'" if written == piece else f"'{written}' in '{piece}'"
    raise UserError(f"Unknown block {place}: {advice}Blocks are BASE, IN00-IN11, MID (M00) and OUT00-OUT11.")
