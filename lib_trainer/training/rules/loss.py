"""Noise, timesteps and loss."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _timesteps(config: TrainConfig) -> Iterator[str]:
    if config.min_timestep >= config.max_timestep:
        yield (f"min_timestep = {config.min_timestep} must be less than max_timestep = {config.max_timestep}: "
               "0 and 1000 train on all noise levels.")


RULES: Rules = (
    (_timesteps, ("min_timestep", "max_timestep")),
)
