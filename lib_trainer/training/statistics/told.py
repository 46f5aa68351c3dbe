"""What the micro-batches of an update have told: kept on the device until all of it is fetched at once.

Waiting for the device is the dearest thing a loop can do, so an update waits for it once: one small transfer brings the
losses of all its samples, for the update's own loss, the check for NaN and the statistics alike.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lib_trainer.training.micro_batch import Drawn, Losses
from lib_trainer.training.statistics.watch import Seen


@dataclass(frozen=True)
class Report:
    """The losses of an update's samples: `weighted` as trained on, `seen` before all weights."""

    weighted: list[float]
    seen: Seen

    @property
    def is_finite(self) -> bool:
        """Whether every loss is a number."""
        return all(map(math.isfinite, self.weighted))


@dataclass
class Told:
    """Gathers what the micro-batches tell."""

    drawn: list[Drawn] = field(default_factory=list)
    _losses: list[Tensor] = field(default_factory=list)

    def add(self, drawn: Drawn, losses: Losses) -> None:
        """Takes a micro-batch in; nothing is waited for."""
        self.drawn.append(drawn)
        self._losses.append(torch.stack([losses.weighted.detach(), losses.plain]))

    def read(self) -> Report:
        """Waits for the device and returns everything."""
        if not self.drawn:
            return Report([], Seen([], [], []))
        weighted, plain = torch.cat(self._losses, dim=1).tolist()
        timesteps = torch.cat([drawn.timesteps for drawn in self.drawn]).tolist()
        keys = [sample.item.key for drawn in self.drawn for sample in drawn.samples]
        return Report(weighted, Seen(keys, timesteps, plain))
