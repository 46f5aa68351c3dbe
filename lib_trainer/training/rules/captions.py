"""Captions."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.training.rules.name import FORBIDDEN

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _caption_extension(config: TrainConfig) -> Iterator[str]:
    text = config.caption_extension
    if len(text) < 2 or not text.startswith(".") or any(sign in text for sign in FORBIDDEN):
        yield f"caption_extension = {text!r}: Caption files must be an ending with its dot, such as .txt."


RULES: Rules = (
    (_caption_extension, ("caption_extension",)),
)
