"""Training state on disk and on screen: every stage can be stopped at any moment and started again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state so that a kill in between leaves the previous one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load(path: Path) -> dict[str, Any] | None:
    """A saved state, or None where there is none yet."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def need(path: Path) -> dict[str, Any]:
    """A saved state that an earlier stage must have left.

    Raises:
        FileNotFoundError: It has not.
    """
    state = load(path)
    if state is None:
        raise FileNotFoundError(f"{path} is missing: run the stage `{path.stem}` first.")
    return state


def decayed_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Learning rate of a step: linear warm-up, then linear to a hundredth of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * max(0.01, 1 - (step - warmup) / max(1, steps - warmup))


class Report:
    """Prints running means every so many steps, with the time spent."""

    def __init__(self, stage: str, every: int) -> None:
        self._stage, self._every, self._count = stage, every, 0
        self._sums: dict[str, float] = {}
        self._start = time.monotonic()

    def add(self, step: int, **values: float) -> None:
        """Take the values of one step."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._count += 1
        if self._count == self._every:
            means = "  ".join(f"{name} {total / self._count:.4f}" for name, total in self._sums.items())
            print(f"{self._stage} {step + 1}  {means}  {(time.monotonic() - self._start) / 60:.1f} min", flush=True)
            self._sums, self._count = {}, 0
