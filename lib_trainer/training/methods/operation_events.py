"""An operation of the workbench inside a training: its progress as events, and an end to it when the person stops.

An operation that is closed in the middle leaves nothing behind, so a stop needs no more than that.
"""
from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing

from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event, Worked
from lib_trainer.workbench.operation import Operation, Outcome

_OFTEN = 0.2
"""Seconds between two events of an operation's progress."""


def of(operation: Operation, controls: Controls) -> Generator[Event, None, Outcome | None]:
    """Yields an operation's progress and returns its outcome; a stop closes it, and then there is none."""
    told = 0.0
    with closing(operation):
        while not controls.stopping:
            try:
                at = next(operation)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            if time.monotonic() - told >= _OFTEN or at.done == at.total:
                told = time.monotonic()
                yield Worked(at.what, at.done, at.total)
    return None
