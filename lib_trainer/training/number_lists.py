"""Settings that are lists of numbers with commas between them: seeds of pictures, strengths of a LoRA."""
from __future__ import annotations

from lib_trainer.blocks.values import Unreadable, read_number
from lib_trainer.errors import UserError

_GREATEST_SEED = 2**32 - 1
_STRONGEST = 20.0
_MOST_STRENGTHS = 20


def seeds(name: str, text: str) -> list[int]:
    """Returns the seeds that a setting names.

    Args:
        name: of the setting. text: what stands there.

    Raises:
        UserError: there is none, or one is no seed.
    """
    pieces = _pieces(text)
    if not pieces or not all(piece.isdigit() and int(piece) <= _GREATEST_SEED for piece in pieces):
        raise UserError(f"{name} = {text!r}: write whole numbers from 0 to {_GREATEST_SEED} with commas between them, "
                        "such as 1, 2.")
    return [int(piece) for piece in pieces]


def strengths(name: str, text: str) -> list[float]:
    """Returns the strengths that a setting names, each once; none of an empty text.

    Raises:
        UserError: one is no strength, or there are too many.
    """
    try:
        found = list(dict.fromkeys(read_number(piece) for piece in _pieces(text)))
    except Unreadable as fault:
        raise UserError(f"{name} = {text!r}: {fault}. Write strengths with commas between them, such as -1, 0, 1."
                        ) from None
    if wrong := [strength for strength in found if not -_STRONGEST <= strength <= _STRONGEST]:
        raise UserError(f"{name} = {text!r}: {wrong[0]:g} is no strength; write numbers from {-_STRONGEST:g} to "
                        f"{_STRONGEST:g}, such as -1, 0, 1.")
    if len(found) > _MOST_STRENGTHS:
        raise UserError(f"{name} = {text!r}: these are {len(found)} strengths; write {_MOST_STRENGTHS} at most.")
    return found


def _pieces(text: str) -> list[str]:
    return [piece for part in text.replace("\n", ",").split(",") if (piece := part.strip())]
