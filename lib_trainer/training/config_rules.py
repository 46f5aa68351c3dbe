"""Which settings are at fault together, or need more than a range to be judged: names, resolutions, rates, blocks.

Every rule looks at the config alone; the disk and the model are looked at in `check.py`. A rule is skipped when a field
it needs could not be read: one fault, one sentence. The rules lie in `rules/`, a file per fold of the form.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from lib_trainer.training.rules import (
    captions,
    concepts,
    copiers,
    data,
    datasets,
    loss,
    name,
    network,
    pairs,
    previews,
    rates,
    rounds,
    slider,
    validation,
)

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_RULES: Rules = (
    *name.RULES,
    *data.RULES,
    *pairs.RULES,
    *concepts.RULES,
    *copiers.RULES,
    *rounds.RULES,
    *slider.RULES,
    *datasets.RULES,
    *captions.RULES,
    *network.RULES,
    *rates.RULES,
    *loss.RULES,
    *validation.RULES,
    *previews.RULES,
)


def faults(config: TrainConfig, bad: frozenset[str] = frozenset()) -> list[str]:
    """Returns one sentence per fault that can be seen in the config alone.

    Args:
        config: the settings.
        bad: fields whose value could not be read and stands at its default: rules that need them are skipped.
    """
    return [sentence for rule, needs in _RULES if not bad.intersection(needs) for sentence in rule(config)]
