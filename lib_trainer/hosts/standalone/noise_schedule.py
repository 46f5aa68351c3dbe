"""The noise schedule and the prediction type of a checkpoint.

SD was trained with 1000 steps whose square-rooted betas rise linearly from 0.00085 to 0.012 (Rombach et al. 2022,
"scaled linear"). A file may carry its own table, and marks v-prediction models by an (empty) tensor `v_pred`. SD 2.x of
768 pixels predicts v without saying so; there one bias, which spreads in the one and not in the other, tells them apart
(the rule by which ComfyUI, Forge and reForge go).
"""
from __future__ import annotations

from collections.abc import Callable, Container, Mapping

import torch

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.hosts.checkpoint_file import setting
from lib_trainer.hosts.kinds import UNET
from lib_trainer.hosts.pure_noise import ending_in_pure_noise

STEPS = 1000

_TELLING = UNET + "output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SPREAD = 0.09


def prediction_type(
    names: Container[str], config: dict[str, object], family: Family,
    read: Callable[[str], torch.Tensor | None],
) -> str:
    """Returns "v" where the names of the file's tensors, its `.yaml` or its weights say so, else "epsilon".

    Args:
        names: of the file's tensors.
        config: the `.yaml` beside it.
        family: its family.
        read: gives one of its tensors, None where it has none of the name.

    Raises:
        UserError: the `.yaml` names a parameterization that is not known.
    """
    name = setting(config, "model", "params", "parameterization")
    if name not in (None, "eps", "v"):
        raise UserError(f"The checkpoint's .yaml says parameterization: {name!r}; 'eps' and 'v' are supported.")
    if name or "v_pred" in names:
        return "epsilon" if name == "eps" else "v"
    bias = read(_TELLING) if family.resolution_v else None
    return "v" if bias is not None and float(bias.float().std(unbiased=False)) > _SPREAD else "epsilon"


def alphas_cumprod(tensors: Mapping[str, torch.Tensor], config: dict[str, object]) -> torch.Tensor:
    """Returns the cumulative alphas (1000,) float32, descending in (0, 1).

    The file's own table wins where it is stored in full precision; a half-precision one is a rounded copy of the
    computed table. A tensor `ztsnr`, or a table that ends in 0, asks for a terminal signal-to-noise ratio of zero.

    Raises:
        UserError: the table is not 1000 numbers descending from 1 to 0.
    """
    table = tensors.get("alphas_cumprod")
    if table is None or table.dtype in (torch.float16, torch.bfloat16):
        table = _scaled_linear(config)
    table = table.float().clone()
    if table.shape != (STEPS,) or not bool(((table >= 0) & (table < 1)).all()) or not bool((table.diff() < 0).all()):
        raise UserError(f"The checkpoint's alphas_cumprod is not a noise schedule: {STEPS} numbers that fall from "
                        f"1 to 0 are needed, got shape {tuple(table.shape)}.")
    return ending_in_pure_noise(table) if "ztsnr" in tensors or table[-1] == 0 else table


def _scaled_linear(config: dict[str, object]) -> torch.Tensor:
    first = float(str(setting(config, "model", "params", "linear_start") or 0.00085))
    last = float(str(setting(config, "model", "params", "linear_end") or 0.012))
    betas = torch.linspace(first**0.5, last**0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0)
