"""The numbers of block weights as text: `0.5`, `-1`, and `X`, the place that a tag's `x=` fills.

Only plain finite numbers are read; what else Python would take for a number (`nan`, `inf`, `1_0`) is a mistake in a
prompt and is answered with a sentence.
"""
from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_SIGNED = re.compile(rf"[+-]?{_NUMBER}")
_VARIABLE = re.compile(rf"[xX]\s*(?:([+-])\s*({_NUMBER}))?")
_NUMBER_LIKE = re.compile(rf"[+-]?(?:{_NUMBER}|nan|inf|infinity)", re.IGNORECASE)
_SCHEDULE = re.compile(rf"[+-]?{_NUMBER}\s*@\s*{_NUMBER}(?:\s*[,;]\s*[+-]?{_NUMBER}\s*@\s*{_NUMBER})*")

_LIMIT = 1e6
"""Beyond any use, and small enough that strength times block weight stays a number even in single precision."""


PLACEHOLDERS = ("XYZ", "ZYX")
"""Names that the plot of the LoRA Block Weight extension fills; ordinary names where no plot is drawn."""


class Unreadable(ValueError):
    """Why a written number cannot be read, as the end of a sentence: "'a' is not a number"."""


def looks_like_number(text: str) -> bool:
    """Whether somebody meant a number, be it a good one (`0.5`) or not (`nan`, `1e999`)."""
    return _NUMBER_LIKE.fullmatch(text) is not None


def looks_like_strength(text: str) -> bool:
    """Whether somebody meant a strength: a number, or the strengths over time of loractl (`0.5@0,1@0.5`)."""
    return looks_like_number(text) or is_schedule(text)


def is_schedule(text: str) -> bool:
    """Whether a text is what the extension loractl takes for a strength: numbers at parts of the picture."""
    return _SCHEDULE.fullmatch(text) is not None


def looks_like_item(text: str) -> bool:
    """Whether somebody meant an item of a list: a number, `X`, or the random `R` and `U`."""
    return looks_like_number(text) or is_variable(text) or is_random(text)


def is_variable(text: str) -> bool:
    """Whether an item of a list is `X`, `X+0.2` or `X-0.3`."""
    return _VARIABLE.fullmatch(text) is not None


def is_random(text: str) -> bool:
    """Whether an item of a list asks for a random number."""
    return text in ("R", "U", "r", "u")


def read_number(text: str) -> float:
    """Reads a number.

    Raises:
        Unreadable: it is empty, no number, not finite or too large.
    """
    if not text:
        raise Unreadable("the number is missing")
    if _SIGNED.fullmatch(text) and abs(float(text)) <= _LIMIT:
        return float(text) + 0.0  # -0.0 becomes 0.0: equal weights shall have one digest
    reason = f"is not a number up to {_LIMIT:,.0f}" if looks_like_number(text) else "is not a number"
    raise Unreadable(f"'{shortened(text)}' {reason}")


def read_item(text: str, x: float) -> float:
    """Reads one item of a list, with `x` in the place of X.

    Raises:
        Unreadable: as `read_number`; also for the random items, which have no number of their own.
    """
    variable = _VARIABLE.fullmatch(text)
    if variable:
        sign, offset = variable[1], variable[2]
        shift = read_number(offset) if offset else 0.0
        return x - shift if sign == "-" else x + shift
    return read_number(text)


def items_of(text: str) -> tuple[str, ...]:
    """Cuts a written list at its commas."""
    return tuple(item.strip() for item in text.split(","))


def read_items(items: Sequence[str], x: float) -> list[float]:
    """Reads all items of a list.

    Raises:
        Unreadable: with the place of the first bad item.
    """
    numbers = []
    for place, item in enumerate(items, start=1):
        try:
            numbers.append(read_item(item, x))
        except Unreadable as fault:
            raise Unreadable(f"number {place}: {fault}") from None
    return numbers


def number_text(value: float) -> str:
    """Writes a number so that reading it gives the same one: "1", "0.5", "-0.25"."""
    return str(int(value)) if value == int(value) else repr(value)


def shortened(text: str, limit: int = 40) -> str:
    """Cuts a long text so that a sentence can quote it."""
    return text if len(text) <= limit else f"{text[:limit]}..."
