"""DyLoRA: one training that serves every smaller rank.

Valipour et al. 2022, "DyLoRA: Parameter-Efficient Tuning of Pre-trained Models using Dynamic Search-Free Low-Rank
Adaptation" (arXiv:2210.07558), as sd-scripts trains it: the ranks are kept in units; each turn one unit b is picked and
only it learns, all units act, and the output is multiplied by sqrt(rank / (b + unit)). The file is an ordinary LoRA.
"""
from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib_trainer.host_model import Target
from lib_trainer.lora.adapters.masks import Masks
from lib_trainer.lora.keys import ALPHA, DOWN, UP
from lib_trainer.lora.layers import HostShape


class DyLoraLayer(nn.Module):
    """One layer; every unit of ranks has parameters of its own, so that an optimiser leaves those alone that rest.

    Attributes: as of `LoraLayer`; `downs` and `ups` hold the units in order.
    """

    def __init__(self, target: Target, down: Tensor, up: Tensor, alpha: float, unit: int) -> None:
        """Takes the factors of an ordinary LoRA layer, (r, inputs[, k, k]) and (outputs, r[, 1, 1]); r in units."""
        super().__init__()
        self.name, self.alpha, self.rank = target.name, alpha, down.shape[0]
        self.shape = HostShape.of(target)
        self.scale = alpha / self.rank
        self.multiplier = 1.0
        self.channel_axis = -1 if self.shape.kernel is None else 1
        self.is_kernel = max(self.shape.kernel or (1,)) > 1
        self.masks: Masks | None = None
        self.downs = nn.ParameterList(piece.clone() for piece in down.split(unit))
        self.ups = nn.ParameterList(piece.clone() for piece in up.split(unit, dim=1))
        self.plus = tuple(f"ups.{number}" for number in range(len(self.ups)))

    def meet(self, target: Target) -> None:
        """Needs nothing of the model's layer."""

    def delta(self, x: Tensor, multiplier: float = 1.0) -> Tensor:
        """Returns `multiplier * scale * up(down(x))`; in a turn of training times sqrt(rank / (b + unit))."""
        units = len(self.downs)
        picked = None if self.masks is None else self.masks.pick(self.name, units)
        down, up = self._factor(self.downs, 0, picked).to(x.dtype), self._factor(self.ups, 1, picked).to(x.dtype)
        factor = multiplier * self.scale * (1.0 if picked is None else math.sqrt(units / (picked + 1)))
        if self.shape.kernel is None:
            return F.linear(F.linear(x, down) * factor, up)
        spatial: dict[str, Any] = {
            "stride": self.shape.stride, "padding": self.shape.padding, "dilation": self.shape.dilation}
        return F.conv2d(F.conv2d(x, down, **spatial) * factor, up)

    def _factor(self, units: nn.ParameterList, axis: int, picked: int | None) -> Tensor:
        """Joins the units; of all but the picked one (None = of all) no gradient is asked."""
        return torch.cat([
            unit if picked is None or number == picked else unit.detach() for number, unit in enumerate(units)
        ], dim=axis)

    def weight_delta(self) -> Tensor:
        """Returns `scale * up @ down` in the shape of the model's weight, float32."""
        down, up = torch.cat(list(self.downs)).float(), torch.cat(list(self.ups), dim=1).float()
        return (up.flatten(1) @ down.flatten(1)).reshape(up.shape[0], *down.shape[1:]) * self.scale

    def norm(self) -> Tensor:
        """Returns the length (Frobenius) of the change, () float32."""
        with torch.no_grad():
            return self.weight_delta().norm()

    def scale_by(self, factor: Tensor) -> None:
        """Multiplies the change by a number >= 0, () float32: all units by its root."""
        with torch.no_grad():
            for unit in (*self.downs, *self.ups):
                unit.mul_(factor.sqrt().to(unit.dtype))

    def stored(self) -> dict[str, Tensor]:
        """Returns the layer as an ordinary LoRA's."""
        return {ALPHA: torch.tensor(self.alpha), DOWN: torch.cat([unit.detach() for unit in self.downs]),
                UP: torch.cat([unit.detach() for unit in self.ups], dim=1)}
