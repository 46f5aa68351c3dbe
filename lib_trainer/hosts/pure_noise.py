"""Noise schedules that end in pure noise, for checkpoints that say so of themselves (`ztsnr` among their keys)."""
from __future__ import annotations

import torch

_LEAST = 4.8973451890853435e-08
"""What the WebUIs take for a signal of zero."""


def ending_in_pure_noise(table: torch.Tensor) -> torch.Tensor:
    """Shifts and scales a schedule so that its last signal is (nearly) zero.

    Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.

    Args:
        table: cumulative alphas (1000,) float32, descending in (0, 1).
    """
    signal = table.sqrt()
    scaled = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return (scaled**2).clamp(min=_LEAST)
