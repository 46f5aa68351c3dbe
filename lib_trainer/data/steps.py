"""How many steps a run has: batches, updates, epochs. The arithmetic of sd-scripts, as pure functions."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.errors import UserError


@dataclass(frozen=True)
class Length:
    """The length of a run: `updates` of the optimiser in all, over `epochs` passes (the last perhaps unfinished)."""

    updates: int
    epochs: int


def updates_per_epoch(batches: int, accumulation: int) -> int:
    """Returns optimiser updates per epoch: an unfinished accumulation at an epoch's end updates too."""
    return -(-batches // accumulation)


def run_length(batches: int, accumulation: int, epochs: int, steps: int) -> Length:
    """Returns how long a run is.

    Args:
        batches: micro-batches per epoch, at least 1.
        accumulation: micro-batches per update.
        epochs: passes over the data; not looked at when `steps` is above 0.
        steps: updates; 0 = as many as the epochs need.

    Raises:
        UserError: neither epochs nor steps are given.
    """
    per_epoch = updates_per_epoch(batches, accumulation)
    if steps > 0:
        return Length(updates=steps, epochs=-(-steps // per_epoch))
    if epochs > 0:
        return Length(updates=epochs * per_epoch, epochs=epochs)
    raise UserError("Epochs and Steps are both 0, so there is nothing to train: set one of them above 0.")
