"""Noise, timesteps, target and loss."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True)
class LossSettings:
    """Noise, timesteps, target and loss."""

    min_snr_gamma: float = setting(0.0, "Min-SNR gamma", "Evens out the timesteps' weights (5 is usual); 0 = off. "
        "Hang et al. 2023.", "Noise and loss", minimum=0)
    noise_offset: float = setting(0.0, "Noise offset", "Lets the model learn overall brightness: 0.03-0.1; 0 = off.",
        "Noise and loss", minimum=0, maximum=1)
    min_timestep: int = setting(0, "First timestep", "0 = the least noise.", "Noise and loss", minimum=0, maximum=999)
    max_timestep: int = setting(1000, "Last timestep", "1000 = pure noise.", "Noise and loss", minimum=1, maximum=1000)
    prior_loss_weight: float = setting(1.0, "Weight of regularisation", "Loss of regularisation pictures times this.",
        "Noise and loss", minimum=0)
    max_grad_norm: float = setting(1.0, "Gradient clipping", "Largest norm of the whole gradient; 0 = off.",
        "Noise and loss", minimum=0)
