"""The noise schedule and the prediction type of a checkpoint.

SD 1.x was trained with 1000 steps whose square-rooted betas rise linearly from 0.00085 to 0.012 (Rombach et al. 2022,
"scaled linear"). A file may carry its own table, and marks v-prediction models by an (empty) tensor `v_pred`.
"""
from __future__ import annotations

from collections.abc import Container, Mapping

import torch

from lib_trainer.errors import UserError
from lib_trainer.hosts.checkpoint_file import setting

STEPS = 1000


def prediction_type(names: Container[str], config: dict[str, object]) -> str:
    """Returns "v" where the names of the file's tensors or its `.yaml` say so, else "epsilon".

    Raises:
        UserError: the `.yaml` names a parameterization that SD 1.x does not have.
    """
    name = setting(config, "model", "params", "parameterization")
    if name not in (None, "eps", "v"):
        raise UserError(f"The checkpoint's .yaml says parameterization: {name!r}; 'eps' and 'v' are supported.")
    return "v" if name == "v" or "v_pred" in names else "epsilon"


def alphas_cumprod(tensors: Mapping[str, torch.Tensor], config: dict[str, object]) -> torch.Tensor:
    """Returns the cumulative alphas (1000,) float32, descending in (0, 1).

    The file's own table wins where it is stored in full precision; a half-precision one is a rounded copy of the
    computed table. A tensor `ztsnr` asks for a terminal signal-to-noise ratio of zero (Lin et al. 2023, algorithm 1).

    Raises:
        UserError: the table is not 1000 numbers descending in (0, 1).
    """
    table = tensors.get("alphas_cumprod")
    if table is None or table.dtype in (torch.float16, torch.bfloat16):
        table = _scaled_linear(config)
    table = table.float().clone()
    if table.shape != (STEPS,) or not bool(((table > 0) & (table < 1)).all()) or not bool((table.diff() < 0).all()):
        raise UserError(f"The checkpoint's alphas_cumprod is not a noise schedule: {STEPS} numbers that fall from "
                        f"1 to 0 are needed, got shape {tuple(table.shape)}.")
    return _zero_terminal(table) if "ztsnr" in tensors else table


def _scaled_linear(config: dict[str, object]) -> torch.Tensor:
    first = float(str(setting(config, "model", "params", "linear_start") or 0.00085))
    last = float(str(setting(config, "model", "params", "linear_end") or 0.012))
    betas = torch.linspace(first**0.5, last**0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0)


def _zero_terminal(table: torch.Tensor) -> torch.Tensor:
    """Shifts and scales the square roots so that the last is 0; 2^-24 keeps what is divided by it finite."""
    roots = table.double().sqrt()
    first, last = roots[0].clone(), roots[-1].clone()
    rescaled = ((roots - last) * first / (first - last)) ** 2
    return rescaled.clamp(min=2.0**-24).float()
