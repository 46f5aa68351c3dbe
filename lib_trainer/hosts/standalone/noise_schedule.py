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
from lib_trainer.noise_table import LEAST, STEPS, ends_in_pure_noise, scaled_linear, zero_terminal

_TELLING = UNET + "output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SPREAD = 0.09

_ROUNDED = (torch.float16, torch.bfloat16)
"""Dtypes in which a file's table is a rounded copy of the computed one."""


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


def is_zero_terminal(names: Container[str], read: Callable[[str], torch.Tensor | None]) -> bool:
    """Whether a file asks for a terminal signal-to-noise ratio of zero: by a tensor `ztsnr`, or by its own table."""
    if "ztsnr" in names:
        return True
    table = read("alphas_cumprod") if "alphas_cumprod" in names else None
    return table is not None and table.dtype not in _ROUNDED and ends_in_pure_noise(table)


def alphas_cumprod(tensors: Mapping[str, torch.Tensor], config: dict[str, object]) -> torch.Tensor:
    """Returns the cumulative alphas (1000,) float32, descending in (0, 1).

    The file's own table wins where it is stored in full precision; a half-precision one is a rounded copy of the
    computed table. A tensor `ztsnr`, or a table that ends in 0, asks for a terminal signal-to-noise ratio of zero.

    Raises:
        UserError: the table is not 1000 numbers descending from 1 to 0.
    """
    table = tensors.get("alphas_cumprod")
    if table is None or table.dtype in _ROUNDED:
        table = _scaled_linear(config)
    table = table.float().clone()
    if table.shape != (STEPS,) or not bool(((table >= 0) & (table < 1)).all()) or not bool((table.diff() < 0).all()):
        raise UserError(f"The checkpoint's alphas_cumprod is not a noise schedule: {STEPS} numbers that fall from "
                        f"1 to 0 are needed, got shape {tuple(table.shape)}.")
    return zero_terminal(table, LEAST) if "ztsnr" in tensors or table[-1] == 0 else table


def _scaled_linear(config: dict[str, object]) -> torch.Tensor:
    first, last = (setting(config, "model", "params", f"linear_{end}") for end in ("start", "end"))
    return scaled_linear(float(str(first or 0.00085)), float(str(last or 0.012)))
