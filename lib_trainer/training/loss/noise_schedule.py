"""Which noise schedule and prediction a run trains with: the checkpoint's own, unless the person says otherwise."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from lib_trainer.host_model import Checkpoint, HostModel
    from lib_trainer.training.config import TrainConfig


def prediction_of(config: TrainConfig, checkpoint: Checkpoint) -> str:
    """Returns what the U-Net is asked for, "epsilon" or "v"."""
    return checkpoint.prediction if config.prediction == "auto" else config.prediction


def ends_in_pure_noise(config: TrainConfig, checkpoint: Checkpoint) -> bool:
    """Returns whether the last timestep is nothing but noise."""
    return checkpoint.zero_terminal_snr if config.zero_terminal_snr == "auto" else config.zero_terminal_snr == "on"


def for_run(config: TrainConfig, model: HostModel) -> tuple[str, torch.Tensor]:
    """Returns the prediction, "epsilon" or "v", and ᾱ of every timestep, (1000,) float32 on the model's device.

    All that follows from ᾱ (targets, SNR, the weights made of it) follows from this one table.
    """
    from lib_trainer import noise_table

    table = noise_table.chosen(model.alphas_cumprod, config.zero_terminal_snr)
    return prediction_of(config, model.checkpoint), table.to(model.device)


def faults(config: TrainConfig, checkpoint: Checkpoint) -> Iterator[str]:
    """Yields what does not fit the checkpoint."""
    if config.zero_terminal_snr == "on" and prediction_of(config, checkpoint) == "epsilon":
        yield ("zero_terminal_snr = 'on' is for models that predict v: at the last timestep there is nothing but "
               f"noise, and '{checkpoint.name}' says which noise it is. Set it to auto, or prediction to v if you know "
               "that the model was trained so.")


def warnings(config: TrainConfig, checkpoint: Checkpoint) -> Iterator[str]:
    """Yields what is allowed but rarely meant."""
    if prediction_of(config, checkpoint) != checkpoint.prediction:
        yield (f"prediction = '{config.prediction}', but '{checkpoint.name}' says of itself that it predicts "
               f"'{checkpoint.prediction}': the wrong one gives noise instead of pictures.")
