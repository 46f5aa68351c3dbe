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
    if config.method == DIFFERENCE and config.flip and config.copier_score:
        yield (f"flip = on and copier_score = {config.copier_score:g}: mirrored pictures are copied as often as the "
               "pictures themselves, so the score stays low; switch one of them off.")


RULES: Rules = (
    (_held_out, ("method", "validation_split")),
    (_flipped, ("method", "flip", "copier_score")),
)
"""Rules of the part "Copiers"."""
