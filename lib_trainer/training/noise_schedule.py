"""Which noise schedule and which prediction a run trains with."""
from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lib_trainer.host import HostModel
    from lib_trainer.training.config import TrainConfig


def for_run(config: TrainConfig, model: HostModel) -> tuple[str, torch.Tensor]:
    """Returns the prediction, "epsilon" or "v", and ᾱ of every timestep, (1000,) float32 on the model's device."""
    return model.checkpoint.prediction, model.alphas_cumprod.to(model.device)
