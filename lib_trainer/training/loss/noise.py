"""The noise of a sample: normal, and the field's variations on it.

Everything random is drawn on the CPU, outside the turn, from generators that belong to one sample each: what a sample
gets depends neither on the batch it is in nor on the device. What depends on the latents is joined inside the turn by
`mixed`. The reference trainer draws one random strength per batch and evens out the brightness of multires noise over
the whole batch; here both are done sample by sample, so that a batch is the mean of its samples.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig

Generators = Callable[[str], Sequence[torch.Generator]]
"""Gives, for a purpose, one CPU generator per sample."""


@dataclass(frozen=True)
class Noise:
    """What was drawn for a batch; float32 on the CPU. What the settings do not ask for is None.

    Attributes:
        base: (B, C, h, w) normal noise.
        offsets: (B, C, 1, 1) normal numbers, one per channel. strengths: (B, 1, 1, 1), what they are multiplied with.
        octaves: (B, C, h, w), the sum of coarser noises.
        perturbation: (B, C, h, w), what the input has beyond the noise to be predicted.
    """

    base: Tensor
    offsets: Tensor | None = None
    strengths: Tensor | None = None
    octaves: Tensor | None = None
    perturbation: Tensor | None = None


def normal(shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
    """Returns normal noise (B, *shape), float32 on the CPU."""
    return torch.stack([torch.randn(*shape, generator=generator) for generator in generators])


def plain(shape: Sequence[int], generators: Generators) -> Noise:
    """Returns normal noise without any variation.

    Args:
        shape: of one sample: (C, h, w).
        generators: gives the samples' generators.
    """
    return Noise(normal(shape, generators("noise")))


def draw(config: TrainConfig, shape: Sequence[int], generators: Generators) -> Noise:
    """Draws the noise that the settings ask for.

    Args:
        config: the settings.
        shape: of one sample: (C, h, w).
        generators: gives the samples' generators.
    """
    offsets = strengths = octaves = perturbation = None
    if config.noise_offset:
        offsets = normal((shape[0], 1, 1), generators("noise offset"))
        strengths = _strengths(config.noise_offset, config.noise_offset_random, generators("noise offset strength"))
    if config.multires_iterations:
        octaves = torch.stack([
            pyramid(shape, generator, config.multires_iterations, config.multires_discount)
            for generator in generators("multires noise")
        ])
    if config.ip_noise_gamma:
        strength = _strengths(config.ip_noise_gamma, config.ip_noise_gamma_random, generators("perturbation strength"))
        perturbation = strength * normal(shape, generators("perturbation"))
    return Noise(normal(shape, generators("noise")), offsets, strengths, octaves, perturbation)


def _strengths(strength: float, varies: bool, generators: Sequence[torch.Generator]) -> Tensor:
    """Returns (B, 1, 1, 1): the strength, or what each sample draws uniformly between 0 and it."""
    if not varies:
        return torch.full((len(generators), 1, 1, 1), strength)
    return strength * torch.cat([torch.rand(1, generator=generator) for generator in generators]).view(-1, 1, 1, 1)


def pyramid(shape: Sequence[int], generator: torch.Generator, octaves: int, discount: float) -> Tensor:
    """Returns the sum of `octaves` noises, each coarser and weaker than the one before.

    Multi-resolution noise (J. Whitaker 2023, "Multi-resolution noise for diffusion model training"): octave i is normal
    noise of 1/rⁱ of the size, r drawn anew from [2, 4) each time, enlarged bilinearly, times discountⁱ; it ends where a
    side is down to one cell. Octave 0 has the full size.

    Args:
        shape: of one sample: (C, h, w).
        generator: of this sample.
        octaves: how many at most, >= 1.
        discount: strength of an octave as a part of the one before, 0..1.

    Returns:
        (C, h, w) float32 on the CPU.
    """
    channels, height, width = shape
    total = torch.zeros(1, channels, height, width)
    for octave in range(octaves):
        ratio = (2.0 + 2.0 * float(torch.rand(1, generator=generator))) ** octave
        size = max(1, int(height / ratio)), max(1, int(width / ratio))
        drawn = torch.randn(1, channels, *size, generator=generator)
        total += discount**octave * F.interpolate(drawn, (height, width), mode="bilinear", align_corners=False)
        if 1 in size:
            break
    return total[0]


def mixed(noise: Noise, latents: Tensor, adaptive_scale: float = 0.0) -> tuple[Tensor, Tensor]:
    """Joins what was drawn into the noise to be predicted and the noise of the input.

    Noise offset (N. Guttenberg 2023, "Diffusion with offset noise") adds strength·N(0, 1), one number per channel. The
    adaptive form adds adaptive_scale·|mean of the channel| to the strength, which never falls below 0. Noise with
    octaves is brought back to a standard deviation of 1, sample by sample. Input perturbation (Ning et al. 2023, "Input
    perturbation reduces exposure bias in diffusion models", eq. 8) disturbs the input only.

    Args:
        noise: of the batch.
        latents: (B, C, h, w) float32, scaled.
        adaptive_scale: see above; 0 = not adaptive.

    Returns:
        Both (B, C, h, w) float32 on the device of the latents; the same tensor where there is no perturbation.
    """
    device = latents.device
    total = noise.base.to(device)
    if noise.offsets is not None and noise.strengths is not None:
        strengths = noise.strengths.to(device)
        if adaptive_scale:
            strengths = (strengths + adaptive_scale * latents.mean(dim=(2, 3), keepdim=True).abs()).clamp(min=0.0)
        total = total + strengths * noise.offsets.to(device)
    if noise.octaves is not None:
        total = total + noise.octaves.to(device)
        total = total / total.std(dim=(1, 2, 3), keepdim=True)
    if noise.perturbation is None:
        return total, total
    return total, total + noise.perturbation.to(device)
