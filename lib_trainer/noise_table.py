"""Tables of cumulative alphas: SD's own, and those that end in pure noise (zero terminal signal-to-noise ratio)."""
from __future__ import annotations

import torch

STEPS = 1000
CHOICES = ("auto", "on", "off")
"""What a person says of zero terminal SNR: as the checkpoint has it, or one of the two."""

LEAST = 4.8973451890853435e-08
"""What the WebUIs take for a signal of zero where a sampler divides by it."""

_PURE_NOISE = 1e-6
"""A table whose last number is below this ends in pure noise: SD's own ends at 0.0047."""


def scaled_linear(first: float = 0.00085, last: float = 0.012) -> torch.Tensor:
    """Returns (1000,) float32 of betas whose square roots rise linearly (Rombach et al. 2022, "scaled linear").

    Args:
        first, last: of the betas; the defaults are those of SD 1.x, SD 2.x and SDXL.
    """
    betas = torch.linspace(first**0.5, last**0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def zero_terminal(table: torch.Tensor, least: float = 0.0) -> torch.Tensor:
    """Shifts and scales a table so that its last signal is zero.

    Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.

    Args:
        table: (1000,) float32, descending in (0, 1).
        least: what no number may be below; LEAST where something divides by them.
    """
    signal = table.sqrt()
    scaled = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return (scaled**2).clamp(min=least)


def ends_in_pure_noise(table: torch.Tensor) -> bool:
    """Whether the last signal of a table is zero, or nearly so."""
    return bool(table[-1] < _PURE_NOISE)


def chosen(table: torch.Tensor, choice: str, least: float = 0.0) -> torch.Tensor:
    """Returns the table that a person wants.

    Args:
        table: the checkpoint's own.
        choice: one of CHOICES; "off" of a checkpoint that ends in pure noise is SD's own table.
        least: see `zero_terminal`.
    """
    if choice == "auto":
        return table  # without looking into it: on a card that would wait for all that is computed there
    is_zero = ends_in_pure_noise(table)
    if choice == "on" and not is_zero:
        return zero_terminal(table, least)
    if choice == "off" and is_zero:
        return scaled_linear().to(table.device)
    return table
