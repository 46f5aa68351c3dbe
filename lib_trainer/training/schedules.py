"""How the learning rate changes over a run: pure functions of the update's number, so that resuming is trivial.

A rate (`parse_rate`) is a number or a step list such as `5e-6:2000, 5e-7:10000, 5e-8`: each rate holds up to and
including its step, the last one to the end. A schedule multiplies a plain rate by a factor between 0 and 1; the factors
equal those of sd-scripts (that is, of the schedulers in Hugging Face transformers). `lr_at` puts both together.

The factor before update n (0-based) is `factor(n)`; with a warm-up the first update therefore has rate 0, as in the
field.
"""
from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass

from lib_trainer.errors import UserError

CONSTANT = "constant"
POLYNOMIAL_END = 1e-7
"""Learning rate at which the polynomial schedule ends."""


@dataclass(frozen=True)
class Schedule:
    """A factor on the learning rate for every update.

    Attributes:
        kind: a key of SCHEDULES.
        total: updates of the run.
        warmup: updates in which the factor rises from 0 (never for "constant").
        cycles: of cosine_with_restarts. power: of polynomial. decay: last updates of warmup_stable_decay.
        floor: least factor of cosine_with_min_lr and warmup_stable_decay.
        rate: plain learning rate, which the polynomial's absolute end is measured against.
    """

    kind: str
    total: int
    warmup: int = 0
    cycles: int = 1
    power: float = 1.0
    decay: int = 0
    floor: float = 0.0
    rate: float = 1.0

    def factor(self, step: int) -> float:
        """Returns the factor of the update with this 0-based number."""
        if self.kind != CONSTANT and step < self.warmup:
            rise = step / self.warmup
            return rise * (1.0 - self.floor) + self.floor if self.kind == "warmup_stable_decay" else rise
        return SCHEDULES[self.kind](self, step)

    def progress(self, step: int) -> float:
        """Returns how much of the time after the warm-up is over, 0 to 1."""
        return min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))


def _constant(schedule: Schedule, step: int) -> float:
    return 1.0


def _linear(schedule: Schedule, step: int) -> float:
    return 1.0 - schedule.progress(step)


def _cosine(schedule: Schedule, step: int) -> float:
    """Half a cosine (Loshchilov & Hutter 2017, SGDR, eq. 5, one cycle)."""
    return 0.5 * (1.0 + math.cos(math.pi * schedule.progress(step)))


def _cosine_with_restarts(schedule: Schedule, step: int) -> float:
    """Cycles of equal length, each from 1 to 0 (SGDR with hard restarts)."""
    progress = schedule.progress(step)
    return 0.0 if progress >= 1.0 else 0.5 * (1.0 + math.cos(math.pi * (schedule.cycles * progress % 1.0)))


def _cosine_with_min_lr(schedule: Schedule, step: int) -> float:
    return _cosine(schedule, step) * (1.0 - schedule.floor) + schedule.floor


def _polynomial(schedule: Schedule, step: int) -> float:
    """Falls from the rate to POLYNOMIAL_END as (1 - progress)^power."""
    if not schedule.rate:
        return 1.0
    remaining = (1.0 - schedule.progress(step)) ** schedule.power
    return ((schedule.rate - POLYNOMIAL_END) * remaining + POLYNOMIAL_END) / schedule.rate


def _inverse_sqrt(schedule: Schedule, step: int) -> float:
    """1/sqrt(step), measured in warm-ups (Vaswani et al. 2017, eq. 3); 10000 updates where there is no warm-up."""
    scale = schedule.warmup or 10_000
    return 1.0 / math.sqrt((step + scale - schedule.warmup) / scale)


def _warmup_stable_decay(schedule: Schedule, step: int) -> float:
    """Stays at 1, then falls along half a cosine in the last `decay` updates."""
    into = step - (schedule.total - schedule.decay)
    if into <= 0 or not schedule.decay:
        return 1.0
    fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, into / schedule.decay)))
    return fall * (1.0 - schedule.floor) + schedule.floor


SCHEDULES: dict[str, Callable[[Schedule, int], float]] = {
    CONSTANT: _constant,
    "constant_with_warmup": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "cosine_with_restarts": _cosine_with_restarts,
    "cosine_with_min_lr": _cosine_with_min_lr,
    "polynomial": _polynomial,
    "inverse_sqrt": _inverse_sqrt,
    "warmup_stable_decay": _warmup_stable_decay,
}
"""Factor after the warm-up, by sd-scripts' name."""


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


def parse_warmup(text: str, total: int) -> int:
    """Reads a warm-up: updates ("100") or part of the run ("5%" or "0.05").

    Args:
        text: as typed; "" = none.
        total: updates of the run.

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
            f"Warm-up '{text}' is not a number of steps up to {total} (100) or a part of the run (5% or 0.05)."
        )
    return int(updates)


def problem(rate: Rate, kind: str, warmup: int) -> str | None:
    """Returns what is wrong with the combination, as a sentence, or None.

    A step list is a schedule of its own; and sd-scripts refuses a warm-up of "constant", which would be ignored.
    """
    if rate.is_list and kind != CONSTANT:
        return (
            f"The step list '{rate}' sets the learning rate itself, but the schedule '{kind}' would change it too. "
            "Set the schedule to 'constant', or give a single learning rate."
        )
    if warmup and kind == CONSTANT:
        return (
            f"The schedule 'constant' has no warm-up, but {warmup} warm-up steps are set. "
            "Set the schedule to 'constant_with_warmup', or the warm-up to 0."
        )
    return None


def lr_at(step: int, rate: Rate, schedule: Schedule) -> float:
    """Returns the learning rate of the update with this 0-based number."""
    return rate.at(step) * schedule.factor(step)
