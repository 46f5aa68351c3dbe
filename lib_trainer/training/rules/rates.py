"""Optimiser, learning rates, schedule and length."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_ANY_LENGTH = 10**9
"""Steps that no warm-up exceeds, where the length of the run is not known yet."""


def _optimizer(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training import optimizers

    for field, read, text in (("optimizer", optimizers.find, config.optimizer),
                              ("optimizer_args", optimizers.parse_args, config.optimizer_args)):
        try:
            read(text)
        except UserError as error:
            yield f"{field}: {error}"


def _rates(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training import schedules

    rates = []
    for name in ("learning_rate", "unet_lr", "text_encoder_lr"):
        if not getattr(config, name) and name != "learning_rate":
            continue
        try:
            rates.append(schedules.parse_rate(getattr(config, name)))
        except UserError as error:
            yield f"{name}: {error}"
    try:
        warmup = schedules.parse_warmup(config.warmup, config.steps or _ANY_LENGTH)
    except UserError as error:
        yield f"warmup: {error}"
        warmup = 0
    yield from dict.fromkeys(filter(None, (schedules.problem(rate, config.scheduler, warmup) for rate in rates)))
    if rates and not any(any(rate.rates) for rate in rates):
        yield f"learning_rate = {config.learning_rate!r}: with a rate of 0 nothing would learn; 1e-4 is usual."


def _length(config: TrainConfig) -> Iterator[str]:
    if not config.steps and not config.epochs:
        yield "epochs = 0 and steps = 0, so the run would have no length: set one of them."


RULES: Rules = (
    (_optimizer, ("optimizer", "optimizer_args")),
    (_rates, ("learning_rate", "unet_lr", "text_encoder_lr", "scheduler", "warmup", "steps")),
    (_length, ("epochs", "steps")),
)
