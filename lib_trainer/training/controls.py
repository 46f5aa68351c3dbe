"""The buttons of a running training: stop, pause, save now, sample now.

Set from any thread; the loop looks at them between two steps.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Wishes:
    """What is wished for now: "" or how to stop, a pause, a file, previews."""

    stop: str
    pause: bool
    save: bool
    sample: bool


class Controls:
    """Wishes of the person, thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._stop: str = ""
        self._paused = False
        self._save = False
        self._sample = False
        self._stop_asked: Callable[[], bool] | None = None

    @contextmanager
    def heeding(self, stop_asked: Callable[[], bool]) -> Iterator[None]:
        """While open, a stop may also be wished for elsewhere; asked for whenever somebody looks at the buttons.

        Args:
            stop_asked: returns whether a stop was wished for since the last call, such as `JobDisplay.stop_asked`.
        """
        self._stop_asked = stop_asked
        try:
            yield
        finally:
            self._stop_asked = None

    def stop(self, save: bool = True) -> None:
        """Asks to end after the running step; `save=False` leaves no file. The first wish to discard wins."""
        with self._lock:
            self._stop = "save" if save and self._stop != "discard" else "discard"
            self._lock.notify_all()

    def pause(self) -> None:
        """Asks to wait after the running step."""
        with self._lock:
            self._paused = True

    def hold(self) -> None:
        """Makes the run wait for a decision: a save failed, so a stop that asked for it needs to be wished anew."""
        with self._lock:
            if self._stop == "save":
                self._stop = ""
            self._paused = True

    def resume(self) -> None:
        """Ends a pause."""
        with self._lock:
            self._paused = False
            self._lock.notify_all()

    def save_now(self) -> None:
        """Asks for a file of the adapters as they are after the running step."""
        with self._lock:
            self._save = True
            self._lock.notify_all()

    def sample_now(self) -> None:
        """Asks for previews after the running step."""
        with self._lock:
            self._sample = True
            self._lock.notify_all()

    @property
    def stopping(self) -> str:
        """"" while running, "save" or "discard" once a stop was asked for."""
        stop_asked = self._stop_asked
        if stop_asked and stop_asked():
            self.stop()
        with self._lock:
            return self._stop

    @property
    def paused(self) -> bool:
        """Whether a pause is wished for and no stop."""
        stopping = self.stopping
        with self._lock:
            return self._paused and not stopping

    def take_save(self) -> bool:
        """Returns whether a save was asked for since the last call."""
        with self._lock:
            wish, self._save = self._save, False
            return wish

    def take_sample(self) -> bool:
        """Returns whether previews were asked for since the last call."""
        with self._lock:
            wish, self._sample = self._sample, False
            return wish

    def take(self) -> Wishes:
        """Returns what is wished for; a file and previews count once."""
        stop = self.stopping
        with self._lock:
            wishes = Wishes(stop, self._paused, self._save, self._sample)
            self._save = self._sample = False
            return wishes

    def agree(self) -> None:
        """Called between two updates by all processes of a run, so that they see the same wishes; one has its own."""

    def wait(self, seconds: float) -> None:
        """Waits until something changes, `seconds` at most."""
        with self._lock:
            self._lock.wait(seconds)
