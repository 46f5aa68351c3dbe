"""What a diffusion LoRA learns: noise a latent, predict, compare.

With ᾱ_t the schedule's `alphas_cumprod`, a clean latent x0 becomes x_t = √ᾱ_t·x0 + √(1-ᾱ_t)·ε (Ho et al. 2020, eq. 4)
and the U-Net is asked for ε, or for v = √ᾱ_t·ε - √(1-ᾱ_t)·x0 (Salimans & Ho 2022, appendix D). The loss of a sample is
the mean over its channels and pixels of a function of the error, times its weight (`weighting`). Everything is computed
in float32, whatever the U-Net computes in. A schedule whose last ᾱ is 0 (zero terminal SNR, Lin et al. 2023) needs
nothing special here: there v is -x0, and all weights stay finite.

Random numbers come from one CPU generator per sample, so a batch draws what its samples would have drawn alone.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lib_trainer.training.loss.weighting import EPSILON

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig

_TIMESTEPS = 1000
_TINY_AREA = 1e-6
"""Mask area (in latent pixels) below which a sample has nothing to learn from: its loss is 0."""


def timesteps(generators: Sequence[torch.Generator], first: int = 0, last: int = _TIMESTEPS) -> Tensor:
    """Draws one timestep per sample, uniform in [first, last).

    Returns:
        (B,) int64 on the CPU.
    """
    return torch.cat([torch.randint(first, last, (1,), generator=generator) for generator in generators])


def sample_posterior(mean: Tensor, std: Tensor, drawn: Tensor, scale: float) -> Tensor:
    """Samples the VAE's posterior and scales it to what the U-Net sees (Kingma & Welling 2014, eq. 10).

    Args:
        mean, std: (B, C, h, w) float32 moments on one device.
        drawn: (B, C, h, w) normal numbers.
        scale: the family's latent scale.

    Returns:
        (B, C, h, w) on the device of `mean`.
    """
    return (mean + std * drawn.to(mean.device)) * scale


def add_noise(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Returns √ᾱ_t·latents + √(1-ᾱ_t)·noise (Ho et al. 2020, eq. 4).

    Args:
        latents, noise: (B, C, h, w) float32.
        alphas_cumprod: (1000,) float32 on the same device.
        timesteps: (B,) int64 on the same device.
    """
    signal, sigma = _roots(alphas_cumprod, timesteps)
    return signal * latents + sigma * noise


def target(prediction: str, noise: Tensor, latents: Tensor, alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Returns what the U-Net should say: the noise, or v = √ᾱ_t·noise - √(1-ᾱ_t)·latents.

    Args:
        prediction: "epsilon" or "v"; the rest as in `add_noise`.
    """
    if prediction == EPSILON:
        return noise
    signal, sigma = _roots(alphas_cumprod, timesteps)
    return signal * noise - sigma * latents


def _roots(alphas_cumprod: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Returns √ᾱ_t and √(1-ᾱ_t), (B, 1, 1, 1) each."""
    alpha = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    return alpha.sqrt(), (1.0 - alpha).sqrt()


def huber_threshold(config: TrainConfig, alphas: Tensor, timesteps: Tensor) -> Tensor:
    """Returns the error c_t at which the Huber losses turn from square to straight.

    Khrapov et al. 2024, "Improving diffusion models's data-corruption resistance using scheduled pseudo-Huber loss",
    section 4: constant c; exponential exp(t·ln c/1000); by SNR (1-c)/(1+σ)² + c with σ = √((1-ᾱ)/ᾱ). All times
    `huber_scale`; the reference trainer forgets it for the SNR schedule.

    Args:
        config: `huber_schedule`, `huber_c`, `huber_scale`.
        alphas: ᾱ at every sample's timestep, (B,) float32.
        timesteps: (B,) int64 on the same device.
    """
    if config.huber_schedule == "constant":
        threshold = torch.full_like(alphas, config.huber_c)
    elif config.huber_schedule == "exponential":
        threshold = torch.exp(timesteps * (math.log(config.huber_c) / _TIMESTEPS))
    else:
        sigma = ((1.0 - alphas) / alphas).sqrt()
        threshold = (1.0 - config.huber_c) / (1.0 + sigma) ** 2 + config.huber_c
    return threshold * config.huber_scale


def elements(kind: str, predicted: Tensor, target: Tensor, threshold: Tensor | None = None) -> Tensor:
    """Returns the loss of every element.

    l2: d². l1: |d|. huber: 2c(√(d²+c²)-c), as l2 for small errors. smooth_l1: 2(√(d²+c²)-c), as l1 for large ones
    (pseudo-Huber loss, Charbonnier et al. 1997; Khrapov et al. 2024, eq. 6).

    Args:
        kind: "l2", "l1", "huber" or "smooth_l1".
        predicted, target: (B, C, h, w), any float dtype.
        threshold: c of every sample (B,), for huber and smooth_l1.

    Returns:
        (B, C, h, w) float32.
    """
    difference = predicted.float() - target.float()
    if kind == "l2":
        return difference.square()
    if kind == "l1":
        return difference.abs()
    if threshold is None:
        raise RuntimeError(f"The loss {kind} needs a threshold.")
    c = threshold.view(-1, 1, 1, 1)
    # √(d²+c²)-c as d²/(√(d²+c²)+c): exact for small errors, where the difference would lose all digits.
    square = difference.square()
    bent = square / ((square + c * c).sqrt() + c)
    return 2.0 * c * bent if kind == "huber" else 2.0 * bent


def mean(elements: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns the mean of every sample over channels and pixels, weighted by its mask.

    The sum of what the mask lets through is divided by the mask's area, so a small mask does not weaken the gradient
    (the reference trainer divides by the whole picture). A sample whose mask is empty has the loss 0.

    Args:
        elements: (B, C, h, w) float32.
        mask: (B, 1, h, w), 0..1; None = everything counts.

    Returns:
        (B,) float32.
    """
    if mask is None:
        return elements.mean(dim=(1, 2, 3))
    area = mask.sum(dim=(1, 2, 3)) * elements.shape[1]
    return (elements * mask).sum(dim=(1, 2, 3)) / area.clamp(min=_TINY_AREA)
