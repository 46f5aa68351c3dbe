"""Noise, timesteps, target and loss."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting

LOSS_TYPES = ("l2", "l1", "huber", "smooth_l1")
HUBER_SCHEDULES = ("snr", "exponential", "constant")


@dataclass(frozen=True, init=False, repr=False, eq=False)
class LossSettings:
    """Noise, timesteps, target and loss."""

    min_snr_gamma: float = setting(0.0, "Min-SNR gamma", "Evens out the timesteps' weights (5 is usual); 0 = off. "
        "Hang et al. 2023.", "Noise and loss", minimum=0)
    loss_type: str = setting("l2", "Loss", "l2 = squared error. huber and smooth_l1 count wild errors less, so bad "
        "pictures disturb less; l1 = absolute error.", "Noise and loss", choices=LOSS_TYPES)
    noise_offset: float = setting(0.0, "Noise offset", "Lets the model learn overall brightness: 0.03-0.1; 0 = off.",
        "Noise and loss", minimum=0, maximum=1)
    max_grad_norm: float = setting(1.0, "Gradient clipping", "Largest norm of the whole gradient; 0 = off.",
        "Noise and loss", minimum=0)
    prior_loss_weight: float = setting(1.0, "Weight of regularisation", "Loss of regularisation pictures times this.",
        "Noise and loss", minimum=0)
    keep_base: bool = setting(False, "Keep what the model knew", "Regularisation pictures teach what the model says "
        "without the LoRA instead of themselves (differential output preservation).", "Noise and loss",
        "diff_output_preservation")
    noise_offset_random: bool = setting(False, "Random noise offset", "Every use of a picture draws its offset between "
        "0 and the noise offset.", "Noise and loss", "noise_offset_random_strength", part="Kinds of noise")
    adaptive_noise_scale: float = setting(0.0, "Adaptive noise scale", "Adds this times the latent's mean brightness "
        "to the noise offset; 0 = off.", "Noise and loss", minimum=-10, maximum=10, part="Kinds of noise")
    multires_iterations: int = setting(0, "Multires noise octaves", "Adds noise of ever coarser grain, so that large "
        "areas may change: 6-10; 0 = off.", "Noise and loss", "multires_noise_iterations", minimum=0, maximum=32,
        part="Kinds of noise")
    multires_discount: float = setting(0.3, "Multires discount", "Strength of each octave as a part of the one before; "
        "0.3 is usual.", "Noise and loss", "multires_noise_discount", minimum=0, maximum=1, part="Kinds of noise")
    ip_noise_gamma: float = setting(0.0, "Input perturbation", "Extra noise in the input that need not be predicted, "
        "against overfitting: 0.05-0.1; 0 = off. Ning et al. 2023.", "Noise and loss", minimum=0, maximum=1,
        part="Kinds of noise")
    ip_noise_gamma_random: bool = setting(False, "Random input perturbation", "Every use draws its perturbation "
        "between 0 and the value above.", "Noise and loss", "ip_noise_gamma_random_strength", part="Kinds of noise")
    prediction: str = setting("auto", "Prediction", "What the U-Net says: the noise (epsilon) or the velocity (v). "
        "auto = as the checkpoint says of itself.", "Noise and loss", choices=("auto", "epsilon", "v"),
        part="Prediction and timesteps")
    zero_terminal_snr: str = setting("auto", "Zero terminal SNR", "Whether the last timestep is pure noise, which lets "
        "v-prediction models draw very dark and very bright pictures. auto = as the checkpoint says of itself.",
        "Noise and loss", choices=("auto", "on", "off"), part="Prediction and timesteps")
    min_timestep: int = setting(0, "First timestep", "0 = the least noise.", "Noise and loss", minimum=0, maximum=999,
        part="Prediction and timesteps")
    max_timestep: int = setting(1000, "Last timestep", "1000 = pure noise.", "Noise and loss", minimum=1, maximum=1000,
        part="Prediction and timesteps")
    debiased_estimation: bool = setting(False, "Debiased estimation", "Weighs noisy timesteps more, by 1/√SNR. Choose "
        "this or Min-SNR. Yu et al. 2024.", "Noise and loss", "debiased_estimation_loss",
        part="Prediction and timesteps")
    scale_v_pred_loss: bool = setting(False, "Scale the v loss like a noise loss", "For v-prediction models: weighs "
        "timesteps as an epsilon model would.", "Noise and loss", "scale_v_pred_loss_like_noise_pred",
        part="Prediction and timesteps")
    v_pred_like_loss: float = setting(0.0, "V-like loss", "For epsilon models: adds this much of the loss a v model "
        "would have, which weighs noisy timesteps more; 0 = off.", "Noise and loss", minimum=0,
        part="Prediction and timesteps")
    huber_schedule: str = setting("snr", "Huber schedule", "Where huber and smooth_l1 change from squared to absolute "
        "error: by SNR, by timestep, or everywhere the same.", "Noise and loss", choices=HUBER_SCHEDULES,
        part="Huber loss")
    huber_c: float = setting(0.1, "Huber threshold", "The error above which huber and smooth_l1 count like l1, at the "
        "noisiest timesteps.", "Noise and loss", minimum=0.0001, maximum=1, part="Huber loss")
    huber_scale: float = setting(1.0, "Huber scale", "All Huber thresholds times this.", "Noise and loss",
        minimum=0.0001, part="Huber loss")
