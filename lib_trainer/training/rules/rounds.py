"""Rounds of training and merging, and what cannot be trained in them."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.training.settings.rounds import CHECKPOINT

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_OF_THE_MODEL = ("oft", "glora", "ia3")
"""What `algorithms.registry` calls kinds whose change depends on the weight that they change; DoRA is one of them."""


def _rates(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.methods.rounds import rate_factors

    if config.method != "relora":
        return
    try:
        rate_factors(config.round_rate, config.rounds)
    except UserError as error:
        yield str(error)


def _kinds(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.lora.adapters.facts import FACTS

    if config.method != "relora" or config.round_result == CHECKPOINT:
        return
    facts = FACTS[config.algorithm]
    if config.dora or facts.file_kind in _OF_THE_MODEL:
        name = "DoRA" if config.dora else facts.label
        yield (f"round_result = {config.round_result}: what {name} does depends on the weights of its round's "
               f"checkpoint, so the rounds cannot be added up to one LoRA. Set round_result = {CHECKPOINT}, or choose "
               "another algorithm.")


RULES: Rules = (
    (_rates, ("method", "rounds", "round_rate")),
    (_kinds, ("method", "round_result", "algorithm", "dora")),
)
"""Rules of the part "Rounds"."""
