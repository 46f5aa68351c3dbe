"""What a run wants of the model in memory, from its settings."""
from __future__ import annotations

from typing import TYPE_CHECKING

from lib_trainer.keeping import Keeping

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig


def keeping(config: TrainConfig) -> Keeping:
    """Returns how the host shall keep the model while the run lasts."""
    return Keeping(
        dtype=config.precision, storage=config.base_precision, offload=config.offload, attention=config.attention,
        compile=config.compile,
    )
