"""What a sentence about a faulty value of a form needs to know of its field, and how every form reads a number."""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lib_trainer.errors import UserError


@dataclass(frozen=True)
class Asked:
    """A field, as far as sentences about its value go: what a person calls it; its choices, word -> label."""

    label: str
    choices: Mapping[str, str]


def number_of(value: object, label: str) -> float:
    """Returns a number of JSON, or of a text.

    Raises:
        UserError: it is none, or not finite.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{label} = {value!r} must be a number.")
    return number
