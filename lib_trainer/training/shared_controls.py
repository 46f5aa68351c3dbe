"""The buttons of a run in several processes: what is pressed in process 0 acts in all of them at the same update."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lib_trainer.training.controls import Controls, Wishes

_LOOK_AGAIN = 0.2
"""Seconds between two looks at the buttons during a pause."""


class SharedControls(Controls):
    """Wishes that change only when all processes agree on them."""

    def __init__(self, pressed: Controls, share: Callable[[Wishes], Wishes]) -> None:
        """Starts without wishes.

        Args:
            pressed: the buttons of this process; those of process 0 count.
            share: returns process 0's wishes to all processes; all of them must call it.
        """
        super().__init__()
        self._pressed = pressed
        self._share = share

    def agree(self) -> None:
        """Takes over what is wished for in process 0."""
        wishes = self._share(self._pressed.take())
        with self._lock:
            self._stop, self._paused = wishes.stop, wishes.pause
            self._save, self._sample = self._save or wishes.save, self._sample or wishes.sample

    @contextmanager
    def heeding(self, stop_asked: Callable[[], bool]) -> Iterator[None]:
        """Adds another place where a stop may be wished for to this process's buttons."""
        with self._pressed.heeding(stop_asked):
            yield

    def wait(self, seconds: float) -> None:
        """Waits a moment: nobody presses these buttons themselves."""
        super().wait(min(seconds, _LOOK_AGAIN))
