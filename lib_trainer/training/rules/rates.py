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
    from lib_trainer.training.learning import optimizers

    for field, read, text in (("optimizer", optimizers.find, config.optimizer),
                              ("optimizer_args", optimizers.parse_args, config.optimizer_args)):
        try:
            read(text)
        except UserError as error:
            yield f"{field}: {error}"


_RATES = ("learning_rate", "unet_lr", "text_encoder_lr", "text_encoder2_lr")


def _rates(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.learning import schedules
    from lib_trainer.training.learning.rates import parse_part, parse_rate

    rates = []
    for name in _RATES:
        if not getattr(config, name) and name != "learning_rate":
            continue
        try:
            rates.append(parse_rate(getattr(config, name)))
        except UserError as error:
            yield f"{name}: {error}"
    lengths = {"warmup": 0, "decay": 0, "stop_text_encoder": 0}
    for name, what in (("warmup", "Warm-up"), ("decay", "Decay"), ("stop_text_encoder", "Stop the text encoder")):
        try:
            lengths[name] = parse_part(getattr(config, name), config.steps or _ANY_LENGTH, what)
        except UserError as error:
            yield f"{name}: {error}"
    found = (schedules.problem(rate, config.scheduler, lengths["warmup"]) for rate in rates)
    yield from dict.fromkeys(filter(None, found))
    if rates and not any(any(rate.rates) for rate in rates):
        yield f"learning_rate = {config.learning_rate!r}: with a rate of 0 nothing would learn; 1e-4 is usual."
    if lengths["stop_text_encoder"] and not config.train_unet:
        yield (f"stop_text_encoder = {config.stop_text_encoder!r}: the U-Net is not trained, so nothing would learn "
               "afterwards; leave it empty, or shorten the run.")


def _schedule(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.learning import schedule_classes, schedules
    from lib_trainer.training.learning.rates import Rate

    if schedules.is_class(config.scheduler):
        try:
            schedule_classes.checked(config.scheduler, config.scheduler_args)
        except UserError as error:
            yield f"scheduler: {error}"
        return
    try:
        schedules.read(config, Rate((1.0,)), config.steps or _ANY_LENGTH)
    except UserError as error:
        if not str(error).startswith(("Warm-up", "Decay")):  # told with the rates
            yield f"scheduler: {error}"
    if config.scheduler_args and config.scheduler != schedules.PIECEWISE:
        yield (f"scheduler_args = {config.scheduler_args!r}: the schedule '{config.scheduler}' has no arguments; leave "
               "them out, or use the fields for restarts, power, time scale and least rate.")
    if config.scheduler == schedules.DECAYING and config.decay.strip() in ("", "0"):
        yield "decay = 0: warmup_stable_decay would never fall; write the last steps in which it does, such as 20%."
    if config.scheduler == "cosine_with_min_lr" and not config.min_lr_ratio:
        yield "min_lr_ratio = 0: cosine_with_min_lr would be 'cosine'; write the part of the rate it ends at, as 0.1."


def _combinations(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.learning import optimizers, schedules

    try:
        name, row = optimizers.find(config.optimizer)
        sets_own = optimizers.sets_own_rate(name, config.optimizer_args)
        texts = {getattr(config, field) for field in _RATES if getattr(config, field)}
    except UserError:
        return  # told already
    if config.scheduler == schedules.ADAFACTOR and not sets_own:
        yield ("scheduler = 'adafactor': it is for the optimiser Adafactor with relative_step=True among its "
               "arguments; choose another schedule.")
    if row.schedule_free and config.ema_decay:
        yield (f"ema_decay = {config.ema_decay:g}: {name} averages the weights itself; set it to 0, or choose another "
               "optimiser.")
    if row.finds_rate and len(texts) > 1 and any(":" in text for text in texts):
        yield (f"learning_rate: {name} finds one rate for all parts, so step lists must be the same for all of them; "
               "write plain rates, or only one list.")


def _length(config: TrainConfig) -> Iterator[str]:
    if not config.steps and not config.epochs:
        yield "epochs = 0 and steps = 0, so the run would have no length: set one of them."


RULES: Rules = (
    (_optimizer, ("optimizer", "optimizer_args")),
    (_rates, (*_RATES, "scheduler", "warmup", "decay", "steps", "stop_text_encoder", "train_unet")),
    (_schedule, ("scheduler", "scheduler_args", "warmup", "decay", "steps", "min_lr_ratio", "cycles", "power",
                 "timescale")),
    (_combinations, ("optimizer", "optimizer_args", *_RATES, "scheduler", "ema_decay")),
    (_length, ("epochs", "steps")),
)
