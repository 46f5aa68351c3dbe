"""How the learning rate changes over a run: pure functions of the update's number, so that resuming is trivial.

A schedule multiplies a plain rate by a factor between 0 and 1; the factors equal those of sd-scripts (that is, of the
schedulers in Hugging Face transformers and diffusers). The factor before update n (0-based) is `factor(n)`; with a
warm-up the first update therefore has rate 0, as in the field. `read` makes a schedule from the settings.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.training.learning.rates import Rate, parse_part, parse_rate

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig

CONSTANT, PIECEWISE, ADAFACTOR = "constant", "piecewise_constant", "adafactor"
DECAYING = "warmup_stable_decay"
POLYNOMIAL_END = 1e-7
"""Learning rate at which the polynomial schedule ends."""

STEP_RULES = "step_rules"
"""The argument of the piecewise constant schedule."""

_ALWAYS = Rate((1.0,))


@dataclass(frozen=True)
class Schedule:
    """A factor on the learning rate for every update.

    Attributes:
        kind: a key of SCHEDULES.
        total: updates of the run.
        warmup: updates in which the factor rises from 0 (never for "constant" and "piecewise_constant").
        cycles: of cosine_with_restarts; of cosine_with_min_lr and warmup_stable_decay the half-waves of the cosine.
        power: of polynomial. decay: last updates of warmup_stable_decay. timescale: of inverse_sqrt, 0 = the warm-up.
        floor: least factor of cosine_with_min_lr and warmup_stable_decay.
        rate: plain learning rate, which the polynomial's absolute end is measured against.
        rules: factors of piecewise_constant with the updates they hold for.
    """

    kind: str
    total: int
    warmup: int = 0
    cycles: int = 1
    power: float = 1.0
    decay: int = 0
    timescale: int = 0
    floor: float = 0.0
    rate: float = 1.0
    rules: Rate = _ALWAYS

    def factor(self, step: int) -> float:
        """Returns the factor of the update with this 0-based number."""
        if step < self.warmup and self.kind not in WITHOUT_WARMUP:
            rise = step / self.warmup
            return rise * (1.0 - self.floor) + self.floor if self.kind == DECAYING else rise
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
    wave = 0.5 * (1.0 + math.cos(math.pi * schedule.cycles * schedule.progress(step)))
    return wave * (1.0 - schedule.floor) + schedule.floor


def _polynomial(schedule: Schedule, step: int) -> float:
    """Falls from the rate to POLYNOMIAL_END as (1 - progress)^power."""
    if not schedule.rate:
        return 1.0
    remaining = (1.0 - schedule.progress(step)) ** schedule.power
    return ((schedule.rate - POLYNOMIAL_END) * remaining + POLYNOMIAL_END) / schedule.rate


def _inverse_sqrt(schedule: Schedule, step: int) -> float:
    """1/sqrt(step), measured in timescales (Vaswani et al. 2017, eq. 3); 10000 updates where there is no warm-up."""
    scale = schedule.timescale or schedule.warmup or 10_000
    return 1.0 / math.sqrt((step + scale - schedule.warmup) / scale)


def _warmup_stable_decay(schedule: Schedule, step: int) -> float:
    """Stays at 1, then falls along a cosine in the last `decay` updates (Hu et al. 2024, MiniCPM, section 4)."""
    into = step - (schedule.total - schedule.decay)
    if into <= 0 or not schedule.decay:
        return 1.0
    if into >= schedule.decay:
        return schedule.floor
    fall = 0.5 * (1.0 + math.cos(math.pi * schedule.cycles * into / schedule.decay))
    return fall * (1.0 - schedule.floor) + schedule.floor


def _piecewise_constant(schedule: Schedule, step: int) -> float:
    return schedule.rules.at(step)


SCHEDULES: dict[str, Callable[[Schedule, int], float]] = {
    CONSTANT: _constant,
    "constant_with_warmup": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "cosine_with_restarts": _cosine_with_restarts,
    "cosine_with_min_lr": _cosine_with_min_lr,
    "polynomial": _polynomial,
    "inverse_sqrt": _inverse_sqrt,
    DECAYING: _warmup_stable_decay,
    PIECEWISE: _piecewise_constant,
    ADAFACTOR: _constant,
}
"""Factor after the warm-up, by sd-scripts' name; with "adafactor" the optimiser sets the rate itself."""

WITHOUT_WARMUP = (CONSTANT, PIECEWISE, ADAFACTOR)
"""Schedules that have no warm-up; sd-scripts refuses one."""


def is_class(scheduler: str) -> bool:
    """Whether a schedule is named by its class (`schedule_classes`) and none of the table's."""
    return scheduler not in SCHEDULES


def read(config: TrainConfig, rate: Rate, total: int) -> Schedule:
    """Returns the schedule of the settings for one part's rate.

    Raises:
        UserError: a length or the rules cannot be read, or warm-up and decay are longer than the run.
    """
    warmup = parse_part(config.warmup, total, "Warm-up")
    decay = parse_part(config.decay, total, "Decay") if config.scheduler == DECAYING else 0
    if warmup + decay > total:
        raise UserError(f"The warm-up ({warmup}) and the decay ({decay}) together are longer than the run of {total} "
                        "steps: shorten them, or write parts of the run (5%).")
    return Schedule(
        config.scheduler, total, warmup, config.cycles, config.power, decay, config.timescale, config.min_lr_ratio,
        max(rate.rates), rules(config.scheduler_args) if config.scheduler == PIECEWISE else _ALWAYS,
    )


def rules(text: str) -> Rate:
    """Reads `step_rules=1:10,0.1:20,0.01`: the rate's factor up to a step, and the factor from then on.

    Raises:
        UserError: it is missing or cannot be read.
    """
    name, _, value = text.strip().partition("=")
    if name.strip() != STEP_RULES:
        raise UserError(f"Schedule arguments: piecewise_constant needs {STEP_RULES}=1:1000,0.1:2000,0.01 (a factor up "
                        f"to each step, and the last one), got '{text}'.")
    return parse_rate(value.strip(" '\""))


def problem(rate: Rate, kind: str, warmup: int) -> str | None:
    """Returns what is wrong with the combination, as a sentence, or None.

    A step list is a schedule of its own; and sd-scripts refuses a warm-up that would be ignored.
    """
    if rate.is_list and kind != CONSTANT:
        return (
            f"The step list '{rate}' sets the learning rate itself, but the schedule '{kind}' would change it too. "
            "Set the schedule to 'constant', or give a single learning rate."
        )
    if warmup and (kind in WITHOUT_WARMUP or is_class(kind)):
        return (
            f"The schedule '{kind}' has no warm-up, but {warmup} warm-up steps are set. "
            "Set the schedule to 'constant_with_warmup', or the warm-up to 0."
        )
    return None


def lr_at(step: int, rate: Rate, schedule: Schedule) -> float:
    """Returns the learning rate of the update with this 0-based number."""
    return rate.at(step) * schedule.factor(step)
