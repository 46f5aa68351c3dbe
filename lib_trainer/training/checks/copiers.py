"""Copiers before the start: their names, the seeds of their samples, and what they cannot be trained with."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training import number_lists
from lib_trainer.training.checks import files
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.copiers import ON_TOP

BEFORE, AFTER = "before", "after"
"""The two sides of a pair, as copiers are called after them."""


def named(config: TrainConfig, side: str) -> str:
    """Returns the name of a copier's LoRA."""
    return f"{config.name}-{side}"


def seeds_of(config: TrainConfig) -> list[int]:
    """Returns the seeds of the samples.

    Raises:
        UserError: there is none, or one is no seed.
    """
    return number_lists.seeds("copier_seeds", config.copier_seeds)


def faults(config: TrainConfig, host: Host, own: frozenset[Path]) -> Iterator[str]:
    """Yields what must be mended.

    Args:
        config: the settings. host: where to train.
        own: files that a training which goes on has written itself.
    """
    try:
        seeds_of(config)
    except UserError as error:
        yield str(error)
    if config.keep_copiers and config.name:
        kept = (BEFORE,) if config.copier_way == ON_TOP else (BEFORE, AFTER)
        for side in kept:
            yield from files.name(replace(config, name=named(config, side)), host, own)
