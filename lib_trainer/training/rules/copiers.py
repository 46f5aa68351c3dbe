"""Copiers, and what they cannot be trained with."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.training.settings.method import DIFFERENCE

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _held_out(config: TrainConfig) -> Iterator[str]:
    if config.method == DIFFERENCE and config.validation_split:
        yield (f"validation_split = {config.validation_split:g}: method = difference overfits on every picture, so "
               "none is held out; set it to 0. The copy score tells when it is enough.")


def _flipped(config: TrainConfig) -> Iterator[str]:
    if config.method == DIFFERENCE and config.flip and (config.copier_score or config.copier_level):
        yield (f"flip = on, copier_score = {config.copier_score:g} and copier_level = {config.copier_level}: mirrored "
               "pictures are copied as often as the pictures themselves, so the score stays low and ends nothing; "
               "switch flip off, or set both to 0.")


RULES: Rules = (
    (_held_out, ("method", "validation_split")),
    (_flipped, ("method", "flip", "copier_score", "copier_level")),
)
"""Rules of the part "Copiers"."""
