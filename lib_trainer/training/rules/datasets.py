"""Where the pictures come from: folders, a metadata file or a dataset file."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_FOLDERS = ("images", "reg_images", "metadata_file")


def _one_place(config: TrainConfig) -> Iterator[str]:
    given = [f"{name} = {getattr(config, name)!r}" for name in _FOLDERS if getattr(config, name)]
    if config.datasets and given:
        yield (f"datasets = {config.datasets!r} and {', '.join(given)}: with a dataset file all pictures come from it; "
               "write these folders into it, or leave the dataset file empty.")


RULES: Rules = (
    (_one_place, ("datasets", *_FOLDERS)),
)
