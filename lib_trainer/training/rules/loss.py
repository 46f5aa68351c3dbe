"""Noise, timesteps and loss."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules


def _timesteps(config: TrainConfig) -> Iterator[str]:
    if config.min_timestep >= config.max_timestep:
        yield (f"min_timestep = {config.min_timestep} must be less than max_timestep = {config.max_timestep}: "
               "0 and 1000 train on all noise levels.")


def _offsets(config: TrainConfig) -> Iterator[str]:
    if not config.noise_offset:
        given = {"adaptive_noise_scale": config.adaptive_noise_scale, "noise_offset_random": config.noise_offset_random}
        for name, value in given.items():
            if value:
                yield f"{name} = {value} changes the noise offset, which is 0: set noise_offset (0.05 is usual), too."


def _perturbation(config: TrainConfig) -> Iterator[str]:
    if config.ip_noise_gamma_random and not config.ip_noise_gamma:
        yield ("ip_noise_gamma_random = True draws up to ip_noise_gamma, which is 0: set ip_noise_gamma (0.1 is "
               "usual), too.")


def _targets(config: TrainConfig) -> Iterator[str]:
    if config.scale_v_pred_loss and config.v_pred_like_loss:
        yield (f"scale_v_pred_loss is for v-prediction models and v_pred_like_loss = {config.v_pred_like_loss:g} for "
               "epsilon models: keep the one that fits the base model.")


RULES: Rules = (
    (_timesteps, ("min_timestep", "max_timestep")),
    (_offsets, ("noise_offset", "adaptive_noise_scale", "noise_offset_random")),
    (_perturbation, ("ip_noise_gamma", "ip_noise_gamma_random")),
    (_targets, ("scale_v_pred_loss", "v_pred_like_loss")),
)
