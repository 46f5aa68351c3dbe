"""Validation and early stopping."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_NEEDING = ("validate_every_steps", "validate_every_epochs", "max_validation_steps", "early_stopping")


def _held_out(config: TrainConfig) -> Iterator[str]:
    # A data set file may hold pictures out by itself.
    asked = [f"{name} = {getattr(config, name)}" for name in _NEEDING if getattr(config, name)]
    if asked and not config.validation_split and not config.datasets:
        yield (f"{' and '.join(asked)}: nothing is held out to measure on; set validation_split (0.1 holds out a "
               "tenth of the pictures), or set this to 0.")


RULES: Rules = (
    (_held_out, ("validation_split", "datasets", *_NEEDING)),
)
"""Rules of the fold."""
