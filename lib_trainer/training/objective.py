"""What a diffusion LoRA learns: noise a latent, predict, compare.

With ᾱ_t the checkpoint's `alphas_cumprod`, a clean latent x0 becomes x_t = √ᾱ_t·x0 + √(1-ᾱ_t)·ε (Ho et al. 2020, eq. 4)
and the U-Net is asked for ε, or for v = √ᾱ_t·ε - √(1-ᾱ_t)·x0 (Salimans & Ho 2022, appendix D). The loss of a sample is
the mean square over its channels and pixels, times its weight. Everything is computed in float32, whatever the U-Net
computes in. A schedule whose last ᾱ is 0 (zero terminal SNR, Lin et al. 2023) needs nothing special here: there v is
-x0, and all weights stay finite.

Random numbers come from one CPU generator per sample, so a batch draws what its samples would have drawn alone.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON, V = "epsilon", "v"


def timesteps(generators: Sequence[torch.Generator], first: int = 0, last: int = 1000) -> Tensor:
    """Draws one timestep per sample, uniform in [first, last).

    Returns:
        (B,) int64 on the CPU.
    """
    return torch.cat([torch.randint(first, last, (1,), generator=generator) for generator in generators])


def noise(shape: Sequence[int], generators: Sequence[torch.Generator], offset: float = 0.0) -> Tensor:
    """Draws normal noise, with a random brightness per channel where `offset` is above 0.

    Noise offset (N. Guttenberg 2023, "Diffusion with offset noise") adds `offset`·N(0, 1), one number per channel.

    Args:
        shape: of one sample: (C, h, w).
        generators: one CPU generator per sample.
        offset: strength; 0.03 to 0.1 is usual.

    Returns:
        (B, C, h, w) float32 on the CPU.
    """
    drawn = []
    for generator in generators:
        sample = torch.randn(*shape, generator=generator)
        if offset:
            sample += offset * torch.randn(shape[0], 1, 1, generator=generator)
        drawn.append(sample)
    return torch.stack(drawn)


def sample_posterior(mean: Tensor, std: Tensor, generators: Sequence[torch.Generator], scale: float) -> Tensor:
    """Samples the VAE's posterior and scales it to what the U-Net sees.

    Args:
        mean, std: (B, C, h, w) float32 moments on one device.
        generators: one CPU generator per sample.
        scale: the family's latent scale.

    Returns:
        (B, C, h, w) on the device of `mean`.
    """
    drawn = torch.stack([torch.randn(mean.shape[1:], generator=generator) for generator in generators])
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


def snr(alphas_cumprod: Tensor) -> Tensor:
    """Returns the signal-to-noise ratio ᾱ/(1-ᾱ) of every timestep, in the shape given."""
    return alphas_cumprod / (1.0 - alphas_cumprod)


def min_snr_weight(snr: Tensor, gamma: float, prediction: str) -> Tensor:
    """Returns the min-SNR weight of the loss: min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR+1) for v.

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


def loss(predicted: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the loss of every sample: the mean square over channels and pixels, times the sample's weight.

    The batch's loss is the mean of these.

    Args:
        predicted, target: (B, C, h, w), any float dtype.
        weights: (B,), the product of prior-loss and min-SNR weights; None = all 1.

    Returns:
        (B,) float32.
    """
    error = (predicted.float() - target.float()).square().mean(dim=(1, 2, 3))
    return error if weights is None else error * weights
