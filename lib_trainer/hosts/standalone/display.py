"""How the embedded host shows a training: its page reads the events itself, so only the interrupt is passed on."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Display:
    """`JobDisplay`; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._title = ""
        self._stop = False

    @contextmanager
    def shown(self, title: str) -> Iterator[None]:
        """Marks a job as running while open; a wish to stop that nobody took is dropped at the end."""
        with self._lock:
            self._title, self._stop = title, False
        try:
            yield
        finally:
            with self._lock:
                self._title, self._stop = "", False

    def show(self, done: int, total: int, text: str) -> None:
        """Nothing to do: the page reads the job's events."""

    def ask_stop(self) -> None:
        """Asks the running job to stop."""
        with self._lock:
            self._stop = bool(self._title)

    def stop_asked(self) -> bool:
        """Returns whether a stop was asked for since the last call."""
        with self._lock:
            asked, self._stop = self._stop, False
            return asked
