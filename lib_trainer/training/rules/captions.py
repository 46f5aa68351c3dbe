"""Captions."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.lora.finding import FORBIDDEN

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _caption_extension(config: TrainConfig) -> Iterator[str]:
    text = config.caption_extension
    if len(text) < 2 or not text.startswith(".") or any(sign in text for sign in FORBIDDEN):
        yield f"caption_extension = {text!r}: Caption files must be an ending with its dot, such as .txt."


def _separators(config: TrainConfig) -> Iterator[str]:
    if not config.caption_separator:
        yield "caption_separator = '': Separator of tags must not be empty; a comma is usual."
    used = [("caption_separator", config.caption_separator), ("keep_tokens_separator", config.keep_tokens_separator),
            ("secondary_separator", config.secondary_separator)]
    for index, (name, text) in enumerate(used):
        for other, before in used[:index]:
            if text and text == before:
                yield f"{name} = {text!r}: it is the {other}, too; choose another sign for one of them."


RULES: Rules = (
    (_separators, ("caption_separator", "keep_tokens_separator", "secondary_separator")),
    (_caption_extension, ("caption_extension",)),
)
