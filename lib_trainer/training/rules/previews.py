"""Previews."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _preview_size(config: TrainConfig) -> Iterator[str]:
    for name in ("preview_width", "preview_height"):
        side = getattr(config, name)
        if side and (side % 8 or side < 64):
            near = max(64, round(side / 8) * 8)
            yield f"{name} = {side}: sides of previews are multiples of 8, 64 or more; use {near}, or 0."


def _prompts(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training import preview_prompts

    try:
        preview_prompts.prompts(dataclasses.replace(config, preview_file=""))
    except UserError as error:
        yield f"preview_prompts: {error}"


RULES: Rules = (
    (_preview_size, ("preview_width", "preview_height")),
    (_prompts, ("preview_prompts",)),
)
