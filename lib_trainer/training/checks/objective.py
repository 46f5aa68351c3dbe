"""Noise, loss and weights against the checkpoint and the pictures."""
from __future__ import annotations

from collections.abc import Iterator

from lib_trainer.host_model import Checkpoint
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.loss import noise_schedule


def measuring(config: TrainConfig, findings: Findings) -> Iterator[str]:
    """Returns why nothing can be measured, one sentence; where data sets come from a file, only they can tell."""
    if config.early_stopping and findings.datasets and not any(found.validation_split for found in findings.datasets):
        yield (f"early_stopping = {config.early_stopping}: none of the data sets holds pictures out to measure on; set "
               "validation_split (0.1 holds out a tenth), or set this to 0.")


def faults(config: TrainConfig, checkpoint: Checkpoint) -> Iterator[str]:
    """Returns what does not go with the checkpoint's prediction, one sentence each."""
    from lib_trainer.training.loss.weighting import EPSILON, V

    prediction = noise_schedule.prediction_of(config, checkpoint)
    if config.scale_v_pred_loss and prediction != V:
        yield (f"scale_v_pred_loss is for v-prediction models, and {checkpoint.name} predicts {prediction}: "
               "switch it off.")
    if config.v_pred_like_loss and prediction != EPSILON:
        yield (f"v_pred_like_loss = {config.v_pred_like_loss:g} is for epsilon models, and {checkpoint.name} predicts "
               f"{prediction}: set it to 0.")


def warnings(config: TrainConfig, findings: Findings) -> Iterator[str]:
    """Returns what is allowed but does nothing, or is rarely meant, one sentence each."""
    if config.min_snr_gamma and config.debiased_estimation:
        yield ("Min-SNR and debiased estimation multiply: together they weigh the middle timesteps down twice. Choose "
               "one of them.")
    if config.loss_type not in ("huber", "smooth_l1"):
        default = TrainConfig()
        for name in ("huber_schedule", "huber_c", "huber_scale"):
            if getattr(config, name) != getattr(default, name):
                yield (f"{name} = {getattr(config, name)} does nothing with loss_type = {config.loss_type}: choose "
                       "huber or smooth_l1 for it.")
    if config.keep_base and findings.items and not any(item.is_reg for item in findings.items):
        yield ("'Keep what the model knew' acts on regularisation pictures, and there are none: give a regularisation "
               "folder.")
    if config.noise_offset > 0.2:
        yield (f"noise_offset = {config.noise_offset:g} is far above the usual 0.03 to 0.1 and may make all pictures "
               "too dark or too bright.")
