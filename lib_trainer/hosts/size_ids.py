"""The vector that SDXL's U-Net gets beside the captions: pooled text, and picture size and crop as waves.

Each of the six numbers (original height and width, crop top and left, target height and width) is spread over 256
cosines and sines of falling frequency, as timesteps are (Vaswani et al. 2017, section 3.5; Podell et al. 2023, section
2.2): for i in 0..127, cos(x * 10000^(-i/128)), then the sines likewise.
"""
from __future__ import annotations

import math

import torch

WIDTH = 256
"""Waves of one number."""

_LONGEST = 10000.0


def waves(values: torch.Tensor) -> torch.Tensor:
    """Returns (B, 256 N) float32 in [-1, 1] of numbers (B, N): the waves of each, one number after the other."""
    half = WIDTH // 2
    places = torch.arange(half, dtype=torch.float32, device=values.device)
    angles = values.float()[..., None] * torch.exp(-math.log(_LONGEST) / half * places)
    return torch.cat([angles.cos(), angles.sin()], dim=-1).flatten(1)


def vector(pooled: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Returns the U-Net's `y`: (B, P + 1536) in the dtype and on the device of the pooled vector.

    Args:
        pooled: (B, P), 1280 wide in SDXL; its gradient passes.
        sizes: (B, 6) in pixels, in the order of `Conditioning.sizes`.
    """
    return torch.cat([pooled, waves(sizes.to(pooled.device)).to(pooled.dtype)], dim=1)
