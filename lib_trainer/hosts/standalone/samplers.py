"""The samplers by the names that WebUI users know, each made from a diffusers scheduler.

To add one is to add a row. All share the checkpoint's own noise schedule and prediction type.
"""
from __future__ import annotations

import difflib
import importlib
from typing import Any

import torch

from lib_trainer.errors import UserError
from lib_trainer.hosts.standalone.denoise import Scheduler
from lib_trainer.noise_table import ends_in_pure_noise

DEFAULT = "Euler a"

_LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
_TRAILING = {"timestep_spacing": "trailing"}
_EVEN = {"timestep_spacing": "linspace"}
_KARRAS = {"use_karras_sigmas": True, **_EVEN}
_MULTISTEP = ("dpmsolver_multistep", "DPMSolverMultistepScheduler")

_TABLE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Euler a": ("euler_ancestral_discrete", "EulerAncestralDiscreteScheduler", _EVEN),
    "Euler": ("euler_discrete", "EulerDiscreteScheduler", _EVEN),
    "Heun": ("heun_discrete", "HeunDiscreteScheduler", _EVEN),
    "LMS": ("lms_discrete", "LMSDiscreteScheduler", _EVEN),
    "DPM2": ("k_dpm_2_discrete", "KDPM2DiscreteScheduler", _EVEN),
    "DPM2 a": ("k_dpm_2_ancestral_discrete", "KDPM2AncestralDiscreteScheduler", _EVEN),
    "DPM++ 2M": (*_MULTISTEP, _EVEN),
    "DPM++ 2M Karras": (*_MULTISTEP, _KARRAS),
    "DPM++ 2M SDE": (*_MULTISTEP, {"algorithm_type": "sde-dpmsolver++", **_EVEN}),
    "DPM++ 2M SDE Karras": (*_MULTISTEP, {"algorithm_type": "sde-dpmsolver++", **_KARRAS}),
    "DDIM": ("ddim", "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False, **_LEADING}),
    "PLMS": ("pndm", "PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False, **_LEADING}),
    "UniPC": ("unipc_multistep", "UniPCMultistepScheduler", _EVEN),
}
"""WebUI name -> (diffusers module, class, settings)."""


def names() -> list[str]:
    """Returns the samplers' names, the default first."""
    return list(_TABLE)


def resolve(name: str) -> str:
    """Returns the table's spelling of a sampler's name; "" is the default.

    Raises:
        UserError: no such sampler; offers the nearest names.
    """
    by_lower = {known.lower(): known for known in _TABLE}
    wanted = (name or DEFAULT).strip().lower()
    if wanted in by_lower:
        return by_lower[wanted]
    near = [by_lower[match] for match in difflib.get_close_matches(wanted, by_lower, n=3, cutoff=0.5)]
    raise UserError(f"There is no sampler '{name}'. Choose one of: {', '.join(near or _TABLE)}.")


def make(name: str, alphas_cumprod: torch.Tensor, prediction: str) -> Scheduler:
    """Returns a new scheduler.

    Where the schedule ends in pure noise, drawing begins there: a sampler that would skip the last timesteps gives
    pictures of a middling brightness (Lin et al. 2023, section 3.4).

    Args:
        name: a name of the table.
        alphas_cumprod: the checkpoint's (1000,) schedule.
        prediction: "epsilon" or "v".

    Raises:
        UserError: no such sampler, or none for this schedule: Karras' steps gather where a schedule that ends in pure
            noise has no timesteps.
    """
    module, kind, settings = _TABLE[resolve(name)]
    scheduler = getattr(importlib.import_module(f"diffusers.schedulers.scheduling_{module}"), kind)
    table = alphas_cumprod.double()
    is_zero_terminal = ends_in_pure_noise(alphas_cumprod)
    if is_zero_terminal and "use_karras_sigmas" in settings:
        raise UserError(f"The sampler '{resolve(name)}' cannot draw with a checkpoint of zero terminal SNR. "
                        f"Choose '{resolve(name).removesuffix(' Karras')}' or '{DEFAULT}'.")
    if is_zero_terminal and settings.items() >= _LEADING.items():
        settings = {name: value for name, value in settings.items() if name not in _LEADING} | _TRAILING
    betas = 1 - table / torch.cat([torch.ones(1, dtype=torch.float64), table[:-1]])
    return scheduler(
        num_train_timesteps=len(table),
        trained_betas=betas.tolist(),
        prediction_type="v_prediction" if prediction == "v" else "epsilon",
        **settings,
    )
