"""How much the loss of a timestep counts.

All weights are functions of the signal-to-noise ratio SNR = ᾱ/(1-ᾱ) of the schedule that is really trained with. The
reference trainer takes the ratio from the schedule before zero-terminal-SNR rescaling, so its weights belong to other
noise than what the U-Net sees; here there is one schedule. Every weight is finite for every timestep, also where the
ratio is 0 (the last timestep of a rescaled schedule) or infinite.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig

EPSILON, V = "epsilon", "v"

_LARGEST, _SMALLEST = 1000.0, 1e-3
"""SNR is cut to this range before it is divided by; 0.0047 is the smallest of Stable Diffusion's own schedule."""


def snr(alphas_cumprod: Tensor) -> Tensor:
    """Returns the signal-to-noise ratio ᾱ/(1-ᾱ) of every timestep, in the shape given."""
    return alphas_cumprod / (1.0 - alphas_cumprod)


def min_snr(snr: Tensor, gamma: float, prediction: str) -> Tensor:
    """Returns the min-SNR weight: min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR+1) for v.

    Hang et al. 2023, "Efficient diffusion training via Min-SNR weighting", section 3.4. At SNR = 0 the weight for ε is
    its limit, 1.

    Args:
        snr: of every sample, (B,).
        gamma: 5 is usual; > 0.
        prediction: "epsilon" or "v".
    """
    if prediction == EPSILON:
        return (gamma / snr).clamp(max=1.0)
    return snr.clamp(max=gamma) / (snr + 1.0)


def debiased(snr: Tensor, prediction: str) -> Tensor:
    """Returns the debiased-estimation weight: 1/√SNR for ε, 1/(SNR+1) for v, SNR cut at 1000.

    Yu et al. 2024, "Unmasking bias in diffusion model training", eq. 12; the form for v is the field's.

    Args:
        snr: of every sample, (B,).
        prediction: "epsilon" or "v".
    """
    cut = snr.clamp(_SMALLEST if prediction == EPSILON else 0.0, _LARGEST)
    return cut.rsqrt() if prediction == EPSILON else 1.0 / (cut + 1.0)


def v_like_noise(snr: Tensor) -> Tensor:
    """Returns SNR/(SNR+1), which gives a v loss the timesteps' weights of an ε loss.

    With v = √ᾱ·ε - √(1-ᾱ)·x0 and x_t known, an error of ε is √ᾱ times that of v (Salimans & Ho 2022, appendix D), and
    SNR/(SNR+1) = ᾱ. SNR is cut at 1000 as everywhere in the field.
    """
    cut = snr.clamp(max=_LARGEST)
    return cut / (cut + 1.0)


def noise_like_v(snr: Tensor, strength: float) -> Tensor:
    """Returns 1 + strength·(SNR+1)/SNR: adds to an ε loss that much of the v loss; the inverse of `v_like_noise`."""
    cut = snr.clamp(_SMALLEST, _LARGEST)
    return 1.0 + strength * (cut + 1.0) / cut


def of_timesteps(config: TrainConfig, prediction: str, alphas: Tensor) -> Tensor | None:
    """Returns the product of all weights that the settings ask for, None when they ask for none.

    Args:
        config: the settings.
        prediction: "epsilon" or "v".
        alphas: ᾱ at every sample's timestep, (B,) float32.
    """
    ratio = snr(alphas)
    weights = []
    if config.min_snr_gamma:
        weights.append(min_snr(ratio, config.min_snr_gamma, prediction))
    if config.scale_v_pred_loss and prediction == V:
        weights.append(v_like_noise(ratio))
    if config.v_pred_like_loss and prediction == EPSILON:
        weights.append(noise_like_v(ratio, config.v_pred_like_loss))
    if config.debiased_estimation:
        weights.append(debiased(ratio, prediction))
    product = None
    for weight in weights:
        product = weight if product is None else product * weight
    return product
