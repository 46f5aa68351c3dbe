"""From pure noise part of the way to a picture: latents as a generation has them at some timestep.

DDIM without noise of its own (Song et al. 2021, "Denoising diffusion implicit models", eq. 12 with σ = 0): what the
model says gives the clean latent and the noise, and the two are mixed anew at the next timestep. So latents follow from
the first noise alone, and nothing has to be drawn on the way.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from lib_trainer.training.loss.weighting import EPSILON

LAST = 999
"""The timestep of pure noise."""


def path(end: int, steps: int) -> list[int]:
    """Returns the timesteps from pure noise down to, and with, `end`: as far apart as in a whole picture of `steps`.

    Args:
        end: 0..999.
        steps: of a whole picture; 0 = none, the noise is taken for what is at `end`.
    """
    count = math.ceil((LAST - end) * steps / (LAST + 1))
    if not count:
        return [end]
    return [LAST - round((LAST - end) * number / count) for number in range(count + 1)]


def clean_and_noise(prediction: str, said: Tensor, noisy: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the clean latent and the noise that a prediction stands for.

    From x = √ᾱ·x0 + √(1-ᾱ)·ε, and v = √ᾱ·ε - √(1-ᾱ)·x0 where v is predicted (Salimans & Ho 2022, appendix D).

    Args:
        prediction: "epsilon" or "v".
        said, noisy: (B, C, h, w) float32. alpha: ᾱ of their timestep, ().
    """
    signal, sigma = alpha.sqrt(), (1.0 - alpha).sqrt()
    if prediction == EPSILON:
        return (noisy - sigma * said) / signal, said
    return signal * noisy - sigma * said, sigma * noisy + signal * said


def denoised(
    noise: Tensor, timesteps: list[int], alphas: Tensor, prediction: str, say: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Walks from noise to the last of the timesteps; returns the latents there, (B, C, h, w) float32.

    Args:
        noise: (B, C, h, w) float32, standard normal.
        timesteps: of `path`. alphas: ᾱ of every timestep, (1000,), on the device of `noise`.
        prediction: "epsilon" or "v", what `say` returns of latents at a timestep.
    """
    latents = noise
    for now, then in pairwise(timesteps):
        clean, epsilon = clean_and_noise(prediction, say(latents, now).float(), latents, alphas[now])
        latents = alphas[then].sqrt() * clean + (1.0 - alphas[then]).sqrt() * epsilon
    return latents
