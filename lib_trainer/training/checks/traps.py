"""What is allowed but rarely meant: sentences about settings with which people have lost a night's training.

None of them stops a run. Each looks at the settings alone and says what will happen and what to write instead.
"""
from __future__ import annotations

from collections.abc import Iterator

from lib_trainer.families.family import Family
from lib_trainer.lora.adapters.facts import FACTS
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.learning import optimizers, schedules
from lib_trainer.training.learning.groups import rates
from lib_trainer.training.learning.optimizers import OptimizerRow

_LEARNS_NOTHING = 5e-6
"""Rates of Adam's kind below this change a LoRA too little to be seen in a usual number of steps."""

_FINDERS_RATE = 0.1
"""Rates from here on are meant for optimisers that find their own (sd-scripts warns below the same number)."""


def warnings_for(config: TrainConfig) -> list[str]:
    """Returns the sentences.

    Raises:
        UserError: the optimiser or a rate cannot be read.
    """
    name, row = optimizers.find(config.optimizer)
    first = {part: rate.rates[0] for part, rate in rates(config).items()}
    learning = [rate for rate in first.values() if rate]
    found = [*_arguments(config, name), *_own_schedule(config, name, row), *_alpha(config), *_precision(config)]
    if row.finds_rate:
        found += _finder(config, name, learning)
    elif not optimizers.sets_own_rate(name, config.optimizer_args):
        found += _plain(name, learning)
    return found


def of_family(config: TrainConfig, family: Family) -> Iterator[str]:
    """Returns what is set for another family than the checkpoint's."""
    if config.text_encoder2_lr and len(family.text_encoders) < 2:
        yield (f"The second text encoder's learning rate ({config.text_encoder2_lr}) has no effect: {family.label} has "
               "one text encoder.")


def _finder(config: TrainConfig, name: str, learning: list[float]) -> Iterator[str]:
    if any(rate != 1.0 for rate in learning):
        yield (f"{name} finds the learning rate itself and multiplies it by the one that is set "
               f"({', '.join(f'{rate:g}' for rate in learning)}). Set 1 unless you mean it.")
    if len(set(learning)) > 1 or config.lora_plus or config.lora_plus_unet or config.lora_plus_text_encoder:
        yield (f"{name} finds one rate for all parts. Here a part with another rate than the first one's learns in "
               "that ratio to it; sd-scripts uses the first rate for everything, or refuses.")


def _plain(name: str, learning: list[float]) -> Iterator[str]:
    if any(rate >= _FINDERS_RATE for rate in learning) and "SGD" not in name:
        yield (f"A learning rate of {max(learning):g} is for Prodigy and D-Adaptation. With {name}, 1e-4 is usual; the "
               "LoRA will probably be destroyed.")
    if learning and max(learning) < _LEARNS_NOTHING:
        yield (f"A learning rate of {max(learning):g} (sd-scripts' default is 2e-6) teaches a LoRA next to nothing: "
               "1e-4 is usual.")
    if "Lion" in name and any(rate > 3e-4 for rate in learning):
        yield (f"{name} moves every number by the whole rate: {max(learning):g} is much for it; a third to a tenth of "
               "AdamW's rate is usual, such as 3e-5 to 1e-4.")


def _own_schedule(config: TrainConfig, name: str, row: OptimizerRow) -> Iterator[str]:
    """Optimisers that need no schedule, and those that take no rate."""
    sets_own = optimizers.sets_own_rate(name, config.optimizer_args)
    if sets_own:
        yield (f"{name} with relative_step=True sets its rate itself: the learning rates that are written here have "
               "no effect. For your own rate leave relative_step out.")
    wanted = (schedules.CONSTANT, schedules.ADAFACTOR) if sets_own else (schedules.CONSTANT,)
    has_schedule = config.scheduler not in wanted or config.warmup.strip() not in ("", "0")
    if has_schedule and sets_own:
        yield f"The schedule '{config.scheduler}' and the warm-up have no effect: {name} sets its rate itself."
    if has_schedule and row.schedule_free:
        yield (f"{name} needs no schedule: '{config.scheduler}' and the warm-up are not used, the rate stays constant. "
               "For a warm-up write warmup_steps=100 among its arguments (AdamWScheduleFree, SGDScheduleFree).")


def _arguments(config: TrainConfig, name: str) -> Iterator[str]:
    given = optimizers.parse_args(config.optimizer_args)
    for word in optimizers.WITHOUT_EFFECT:
        if word in given and not optimizers.find(name)[1].foreign:
            yield f"The optimiser argument '{word}' is about logging or speed elsewhere and changes nothing here."
    decay = given.get("weight_decay", 0.01 if name == "AdamW" else 0.0)
    if isinstance(decay, (int, float)) and decay > 0.1:
        yield f"A weight decay of {decay:g} pulls a LoRA strongly back to nothing; 0.01 is usual."
    if name == "Adafactor" and config.max_grad_norm and not given.get("relative_step"):
        yield ("Adafactor limits its steps itself; with 'Clip gradients' at "
               f"{config.max_grad_norm:g} they are limited twice. 0 there is usual.")


def _precision(config: TrainConfig) -> Iterator[str]:
    if config.adapter_precision != "fp32":
        yield (f"'LoRA learns in' is {config.adapter_precision}: a step smaller than 1/256 (bf16) or 1/2048 (fp16) of "
               "a weight is rounded away, so at usual rates the LoRA learns next to nothing. fp32 costs little memory.")


def _alpha(config: TrainConfig) -> Iterator[str]:
    facts = FACTS[config.algorithm]
    divisor = config.rank ** 0.5 if config.rs_lora else config.rank
    if config.rank >= 16 and config.alpha <= 1.0 and facts.file_kind not in ("oft", "ia3", "full"):
        yield (f"Alpha {config.alpha:g} with rank {config.rank} makes the LoRA act at 1/{divisor / config.alpha:g} "
               "of its strength, so it learns slowly. Set alpha to half the rank, or raise the learning rate.")
    if config.algorithm == "oft_kohya" and config.alpha >= 1.0:
        yield (f"Alpha {config.alpha:g} bounds the rotation of sd-scripts' OFT and is much for it: 1e-3 is usual.")
