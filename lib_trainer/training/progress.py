"""How long a run is, how far it is, and the line of text that says so: for the form and the loop alike."""
from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lib_trainer.data.steps import run_length, updates_per_epoch
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import Stepped

_RATE_WINDOW = 30
"""Updates over which the speed is averaged: long enough to be calm, short enough to follow a busy machine."""


@dataclass(frozen=True)
class Length:
    """How long a run is.

    Attributes:
        updates_per_epoch: optimiser steps in an epoch: ceil(batches / accumulation), a short remainder steps too.
        total: optimiser steps of the run.
        epochs: epochs begun; the last one is cut short where `steps` says so.
    """

    updates_per_epoch: int
    total: int
    epochs: int

    @classmethod
    def of(cls, batches_per_epoch: int, config: TrainConfig) -> Length:
        """Returns the length that a config gives to a plan of so many batches an epoch (at least 1).

        Raises:
            UserError: the config has neither epochs nor steps.
        """
        length = run_length(batches_per_epoch, config.gradient_accumulation, config.epochs, config.steps)
        return cls(updates_per_epoch(batches_per_epoch, config.gradient_accumulation), length.updates, length.epochs)


class Progress:
    """Counts updates and speaks of them.

    The speed counts the updates alone: caching, previews, saves and pauses do not slow it.
    """

    def __init__(self, length: Length, clock: Callable[[], float] = time.monotonic) -> None:
        self.step = 0
        self._length = length
        self._clock = clock
        self._start = self._update_start = clock()
        self._elapsed_before = 0.0
        self._durations: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._losses: deque[float] = deque(maxlen=length.updates_per_epoch)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, without those between an end and a resume."""
        return self._elapsed_before + self._clock() - self._start

    def state_dict(self) -> dict[str, Any]:
        """Returns what the next update's event depends on."""
        return {"step": self.step, "losses": list(self._losses), "elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where another run's progress was."""
        self.step = state_dict["step"]
        self._losses.extend(state_dict["losses"])
        self._elapsed_before, self._start = state_dict["elapsed"], self._clock()

    def begin_update(self) -> None:
        """Marks the start of an update."""
        self._update_start = self._clock()

    def stepped(self, loss: float, lrs: Mapping[str, float], timestep: float) -> Stepped:
        """Counts one update and returns its event.

        Args:
            loss: of this update.
            lrs: learning rate by group.
            timestep: mean timestep of this update.
        """
        self.step += 1
        self._durations.append(self._clock() - self._update_start)
        self._losses.append(loss)
        spent = sum(self._durations)
        rate = len(self._durations) / spent if spent > 0 else 0.0
        total = self._length.total
        return Stepped(
            step=self.step, total=total, epoch=math.ceil(self.step / self._length.updates_per_epoch), loss=loss,
            average_loss=sum(self._losses) / len(self._losses), lrs=dict(lrs), rate=rate, elapsed=self.elapsed,
            eta=(total - self.step) / rate if rate else 0.0, timestep=timestep,
            text=line(self.step, total, self.elapsed, rate, sum(self._losses) / len(self._losses)),
        )


def line(step: int, total: int, elapsed: float, rate: float, loss: float) -> str:
    """Returns the field's line: `steps: 5% 610/12200 [05:31<1:44:55, 1.84it/s, loss=0.0995]`.

    Args:
        step: updates done. total: updates in all.
        elapsed: seconds. rate: updates a second, 0 = not known yet.
        loss: average loss.
    """
    from tqdm import tqdm

    text: str = tqdm.format_meter(
        step, total, elapsed, prefix="steps", rate=rate or None, postfix=f"loss={loss:.3g}",
        bar_format="{desc}: {percentage:.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
    )
    return text.replace(",  ", ", ")  # tqdm pads rates to a fixed width
