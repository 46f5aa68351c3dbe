"""The running average of the adapters: smoother than the last update's weights, which jump with every batch.

An exponential moving average (Polyak & Juditsky 1992; for diffusion models Ho et al. 2020, section 4) whose decay
begins small and rises to the one that is set, so that the beginning is soon forgotten.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class Ema:
    """Averages of parameters, in float32 on their device.

    Attributes:
        averages: one tensor per parameter.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        """Starts at the parameters as they are.

        Args:
            parameters: what is averaged.
            decay: share of the old average that stays in an update, below 1.
        """
        self._parameters = list(parameters)
        self._decay = decay
        self._updates = 0
        self.averages = [parameter.detach().float().clone() for parameter in parameters]

    @property
    def decay(self) -> float:
        """Decay of the last update: min(decay, (1 + n) / (10 + n)) after n updates."""
        return min(self._decay, (1.0 + self._updates) / (10.0 + self._updates))

    @torch.no_grad()
    def update(self) -> None:
        """Takes the parameters as they are now into the average."""
        self._updates += 1
        now = [parameter.detach().float() for parameter in self._parameters]
        torch._foreach_lerp_(self.averages, now, 1.0 - self.decay)

    def state_dict(self) -> dict[str, Any]:
        """Returns the averages and how many updates are in them."""
        return {"updates": self._updates, "averages": list(self.averages)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with the averages of a run with the same parameters."""
        self._updates = state_dict["updates"]
        for average, saved in zip(self.averages, state_dict["averages"], strict=True):
            average.copy_(saved)
