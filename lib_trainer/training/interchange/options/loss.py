"""Noise, timesteps, target, loss and validation."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, same

OPTIONS = (
    joined("v_parameterization", "flag", False, "prediction"),
    joined("zero_terminal_snr", "flag", False, "zero_terminal_snr"),
    same("noise_offset", "float", None, off=0.0),
    same("noise_offset_random_strength", "flag", False, "noise_offset_random"),
    same("adaptive_noise_scale", "float", None, off=0.0),
    same("multires_noise_iterations", "int", None, "multires_iterations", off=0),
    same("multires_noise_discount", "float", 0.3, "multires_discount"),
    same("ip_noise_gamma", "float", None, off=0.0),
    same("ip_noise_gamma_random_strength", "flag", False, "ip_noise_gamma_random"),
    same("min_timestep", "int", None, off=0),
    same("max_timestep", "int", None, off=1000),
    same("loss_type", "text", "l2"),
    same("huber_schedule", "text", "snr"),
    same("huber_c", "float", 0.1),
    same("huber_scale", "float", 1.0),
    same("min_snr_gamma", "float", None, off=0.0),
    same("debiased_estimation_loss", "flag", False, "debiased_estimation"),
    same("scale_v_pred_loss_like_noise_pred", "flag", False, "scale_v_pred_loss"),
    same("v_pred_like_loss", "float", None, off=0.0),
    same("validation_split", "float", 0.0),
    same("validation_seed", "int", None, off=-1),
    same("validate_every_n_steps", "int", None, "validate_every_steps", off=0),
    same("validate_every_n_epochs", "int", None, "validate_every_epochs", off=0),
    same("max_validation_steps", "int", None, off=0),
)
