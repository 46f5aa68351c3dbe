"""Learning rates as people write them: a number, or a step list such as `5e-6:2000, 5e-7:10000, 5e-8`.

Each rate of a list holds up to and including its step, the last one to the end, as in AUTOMATIC1111's embedding
training. Lengths (warm-up, decay, when the text encoder stops) are written as steps or as a part of the run.
"""
from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

from lib_trainer.errors import UserError


@dataclass(frozen=True)
class Rate:
    """A learning rate, plain or as a step list.

    Attributes:
        rates: the rates in order.
        ends: the last update (1-based) of each rate but the final one.
    """

    rates: tuple[float, ...]
    ends: tuple[int, ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether the rate changes by itself."""
        return len(self.rates) > 1

    def at(self, step: int) -> float:
        """Returns the rate of the update with this 0-based number."""
        return self.rates[bisect.bisect_left(self.ends, step + 1)]

    def __str__(self) -> str:
        steps = [f"{rate!r}:{end}" for rate, end in zip(self.rates, self.ends, strict=False)]
        return ", ".join([*steps, repr(self.rates[-1])])


def parse_rate(text: str) -> Rate:
    """Reads `1e-4` or `5e-6:2000, 5e-7:10000, 5e-8` (each rate up to and including its step, the last to the end).

    As in AUTOMATIC1111's embedding training, the last rate may carry a step too; it then holds to the end all the same.

    Raises:
        UserError: names the part that cannot be read.
    """
    items = [item.strip() for item in text.split(",")]
    rates: list[float] = []
    ends: list[int] = []
    for number, item in enumerate(items):
        value, colon, end = (part.strip() for part in item.partition(":"))
        rates.append(_rate(value, text))
        if colon:
            ends.append(_end(end, item, ends))
        elif number < len(items) - 1:
            raise UserError(
                f"Learning rate '{text}': '{item}' has no step. Every rate but the last needs one, such as "
                "5e-6:2000, 5e-7:10000, 5e-8."
            )
    return Rate(tuple(rates), tuple(ends[: len(rates) - 1]))


def _rate(value: str, text: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate < math.inf:
        raise UserError(
            f"Learning rate '{text}': '{value}' is not a number of 0 or more. Write 1e-4, or a step list such as "
            "5e-6:2000, 5e-7:10000, 5e-8."
        )
    return rate


def _end(end: str, item: str, before: list[int]) -> int:
    try:
        step = int(end)
    except ValueError:
        step = 0
    if step <= (before[-1] if before else 0):
        raise UserError(
            f"Learning rate: in '{item}' the step '{end}' is not a whole number above {before[-1] if before else 0}. "
            "Steps must rise, as in 5e-6:2000, 5e-7:10000, 5e-8."
        )
    return step


def parse_part(text: str, total: int, what: str) -> int:
    """Reads a number of updates ("100") or a part of the run ("5%" or "0.05").

    Args:
        text: as typed; "" = none.
        total: updates of the run.
        what: its name for sentences, such as "Warm-up".

    Raises:
        UserError: it is not a number, negative, or longer than the run.
    """
    written = text.strip()
    percent = written.endswith("%")
    try:
        value = float(written.removesuffix("%") or 0) / (100.0 if percent else 1.0)
    except ValueError:
        value = -1.0
    updates = value * total if percent or 0.0 < value < 1.0 else value
    if not 0.0 <= updates <= total or (updates == value and not value.is_integer()):
        raise UserError(
            f"{what} '{text}' is not a number of steps up to {total} (100) or a part of the run (5% or 0.05)."
        )
    return int(updates)
