"""Pairs of pictures, and what methods that learn their difference cannot do."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.training.settings.method import NEEDS

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_FORBIDDEN = '<>:"/\\|?*'


def _places(config: TrainConfig) -> Iterator[str]:
    if NEEDS[config.method] != "pairs":
        return
    if config.after_images and config.datasets:
        yield (f"after_images = {config.after_images!r} and datasets = {config.datasets!r}: in a dataset file both "
               "pictures of a pair lie in one folder and their names end differently; leave one of the two empty.")
    if config.reg_images:
        yield (f"reg_images = {config.reg_images!r}: method = {config.method} learns what is different in pairs, and "
               "regularisation pictures are none; leave the folder empty.")


def _endings(config: TrainConfig) -> Iterator[str]:
    for name in ("before_suffix", "after_suffix"):
        text = getattr(config, name)
        if wrong := [sign for sign in text if sign in _FORBIDDEN or ord(sign) < 32]:
            yield f"{name} = {text!r}: {wrong[0]!r} cannot be in a file's name; write an ending such as _after."


def _addift(config: TrainConfig) -> Iterator[str]:
    if config.method != "addift":
        return
    if config.train_text_encoder:
        yield ("method = addift learns in the U-Net alone, where every picture of a batch has a strength of its own: "
               "switch 'Train text encoder' off.")
    if config.validation_split:
        yield (f"validation_split = {config.validation_split:g}: method = addift has no loss on single pictures that "
               "could be measured; set it to 0.")


RULES: Rules = (
    (_places, ("method", "after_images", "datasets", "reg_images")),
    (_endings, ("before_suffix", "after_suffix")),
    (_addift, ("method", "train_text_encoder", "validation_split")),
)
"""Rules of the part "Pairs"."""
