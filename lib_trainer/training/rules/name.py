"""Whether the name can be a file name everywhere."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.lora.finding import name_faults

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _name(config: TrainConfig) -> Iterator[str]:
    yield from name_faults(config.name, f"name = {config.name!r}: Name")


RULES: Rules = (
    (_name, ("name",)),
)
