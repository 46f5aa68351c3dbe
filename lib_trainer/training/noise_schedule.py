"""Which noise schedule and which prediction a run trains with."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from lib_trainer.host import Checkpoint, HostModel
    from lib_trainer.training.config import TrainConfig


def prediction_of(config: TrainConfig, checkpoint: Checkpoint) -> str:
    """Returns what the U-Net is asked for, "epsilon" or "v"."""
    return checkpoint.prediction


def for_run(config: TrainConfig, model: HostModel) -> tuple[str, torch.Tensor]:
    """Returns the prediction, "epsilon" or "v", and ᾱ of every timestep, (1000,) float32 on the model's device."""
    return prediction_of(config, model.checkpoint), model.alphas_cumprod.to(model.device)
