"""What a training on prompts alone cannot do, since it has no pictures."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.training.settings.method import PROMPTED

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_BY_EPOCHS = {
    "save_every_epochs": "save_every_steps", "save_epoch_ratio": "save_every_steps",
    "preview_every_epochs": "preview_every_steps", "state_every_epochs": "state_every_steps",
}
"""What is done by epochs, and what does it by steps."""


def _length(config: TrainConfig) -> Iterator[str]:
    if config.method in PROMPTED and not config.steps:
        yield (f"steps = 0: method = {config.method} has no pictures by which epochs could be counted; set 'Steps', "
               "500 is usual.")


def _by_epochs(config: TrainConfig) -> Iterator[str]:
    if config.method not in PROMPTED:
        return
    for name, by_steps in _BY_EPOCHS.items():
        if getattr(config, name):
            yield (f"{name} = {getattr(config, name)}: method = {config.method} has no pictures by which epochs could "
                   f"be counted; set it to 0, and {by_steps} if you want some.")


def _held_out(config: TrainConfig) -> Iterator[str]:
    if config.method in PROMPTED and config.validation_split:
        yield (f"validation_split = {config.validation_split:g}: method = {config.method} has no pictures that could "
               "be held out; set it to 0, and look at previews instead.")


RULES: Rules = (
    (_length, ("method", "steps")),
    (_by_epochs, ("method", *_BY_EPOCHS)),
    (_held_out, ("method", "validation_split")),
)
"""Rules of the part "Prompts"."""
