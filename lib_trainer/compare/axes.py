"""The axes of the LoRA Block Weight extension's plot: what a person writes into its boxes.

An axis has a type and values with commas between them. Values of the type "Block ID" name blocks with spaces between
them: `IN05`, `IN05-OUT05` (backwards, too), `NOT IN09-OUT02`. The words and their order are the peer's: pages and API
clients send either the word or its place.
"""
from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib_trainer.blocks.layouts import in_words
from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.blocks.values import shortened
from lib_trainer.errors import UserError

NONE, BLOCKS, VALUES, SEED, ORIGINAL, ELEMENTS = (
    "none", "Block ID", "values", "seed", "Original Weights", "elements")
KINDS = (NONE, BLOCKS, VALUES, SEED, ORIGINAL, ELEMENTS)

MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes:
        name: "X", "Y" or "Z".
        kind: one of `KINDS`.
        values: what stands at its places, as written; one empty value where there is no axis.
    """

    name: str
    kind: str = NONE
    values: tuple[str, ...] = ("",)

    def label(self, place: int) -> str:
        """What to call a place of the axis."""
        return f"seed {self.values[place]}" if self.kind == SEED else self.values[place]

    @property
    def text(self) -> str:
        """The axis in one line: its type and all values."""
        return "" if self.kind == NONE else f"{self.kind}: {', '.join(self.values)}"


def read_axis(name: str, kind: str | int | None, text: str | None, roll: Callable[[], int]) -> Axis:
    """Reads an axis.

    Args:
        name: "X", "Y" or "Z".
        kind: a word of `KINDS`, in upper or lower case, or its place; None or "" is no axis.
        text: the values with commas between them.
        roll: draws the seeds that are written as -1.

    Raises:
        UserError: an unknown type, no values, or a seed that is none.
    """
    known = _kind(name, kind)
    if known == NONE:
        return Axis(name)
    values = [value.strip() for value in re.split(r"[,\r\n]", (text or "").strip())]
    if not any(values):
        raise UserError(f"The {name} axis '{known}' has no values: write some with commas between them.")
    if not all(values):
        raise UserError(f"The {name} axis '{known}' has an empty value: '{shortened(text or '')}'. Remove a comma.")
    if known == SEED:
        values = [str(_seed(name, value, roll)) for value in values]
    return Axis(name, known, tuple(values))


def _kind(name: str, kind: str | int | None) -> str:
    if kind is None or kind == "":
        return NONE
    if isinstance(kind, int) and not isinstance(kind, bool) and 0 <= kind < len(KINDS):
        return KINDS[kind]
    written = str(kind).strip()
    found = next((one for one in KINDS if one.casefold() == written.casefold()), None)
    if found is None:
        near = difflib.get_close_matches(written, KINDS, 1)
        advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(KINDS)}."
        raise UserError(f"The {name} axis has an unknown type '{shortened(written)}': {advice}")
    return found


def _seed(name: str, text: str, roll: Callable[[], int]) -> int:
    if text == "-1":
        return roll()
    if not text.isascii() or not text.isdigit() or int(text) > MAX_SEED:
        raise UserError(f"'{shortened(text)}' on the {name} axis is no seed: write whole numbers from 0 to {MAX_SEED}, "
                        "or -1 for a random one.")
    return int(text)


def chosen_blocks(text: str, layout: Sequence[str]) -> frozenset[str]:
    """Reads one value of the type "Block ID".

    Args:
        text: block names and ranges with spaces between them, in any case; a leading NOT chooses the others.
        layout: the names of the list that is changed, in its order.

    Raises:
        UserError: a block that the layout does not have; the sentence names those it has.
    """
    pieces = re.sub(r"\s*-\s*", "-", text.strip()).split()
    inverted = bool(pieces) and pieces[0].upper() == "NOT"
    pieces = pieces[1:] if inverted else pieces
    if not pieces:
        raise UserError(f"The value '{shortened(text)}' names no block: blocks are {in_words(layout)}.")
    chosen: set[str] = set()
    for piece in pieces:
        chosen |= parse_blocks(piece, backwards=True)
        absent = {end for end in piece.split("-") for block in parse_blocks(end) if block not in layout}
        if absent:
            raise UserError(f"'{', '.join(sorted(absent))}' in '{shortened(text)}' has no place in the list that the "
                            f"plot changes: its {len(layout)} numbers are for {in_words(layout)}.")
    return frozenset(set(layout) - chosen if inverted else chosen & set(layout))
