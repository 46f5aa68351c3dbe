"""What is trained."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _parts(config: TrainConfig) -> Iterator[str]:
    if not config.train_unet and not config.train_text_encoder:
        yield "Train U-Net and Train text encoder are both off, so nothing would learn: switch one of them on."


def _blocks(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.blocks.selection import parse_blocks

    try:
        parse_blocks(config.blocks)
    except UserError as error:
        yield f"blocks = {config.blocks!r}: {error}"


RULES: Rules = (
    (_parts, ("train_unet", "train_text_encoder")),
    (_blocks, ("blocks",)),
)
