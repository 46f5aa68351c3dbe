"""Pictures of the result: whether their strengths and seeds can be read."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.training import number_lists

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _strengths(config: TrainConfig) -> Iterator[str]:
    try:
        number_lists.strengths("slider_strengths", config.slider_strengths)
    except UserError as error:
        yield str(error)


def _seeds(config: TrainConfig) -> Iterator[str]:
    try:
        number_lists.seeds("slider_seeds", config.slider_seeds)
    except UserError as error:
        yield str(error)


RULES: Rules = (
    (_strengths, ("slider_strengths",)),
    (_seeds, ("slider_seeds",)),
)
"""Rules of the part "Pictures of the result"."""
