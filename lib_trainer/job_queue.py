"""The trainings that wait are trained one after the other, by a thread of the process that can train.

What waits is in a file (`queue_file`) that other processes change, too; one process at a time runs it. A training that
was interrupted by the end of its program goes first when the queue is started again, from the last state of its run,
or from the beginning where there is none. Nothing starts by itself with the program.
"""
from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_trainer.errors import UserError
from lib_trainer.queue_file import ENDED, FAILED, RUNNING, WAITING, Entry, QueueFile, take

if TYPE_CHECKING:
    from filelock import BaseFileLock

_KEPT = 20
"""Ended entries that stay in the list."""
_TRIES = 3
"""How often an entry is tried whose program ended while it was trained: it may be what ends the program."""


class Trainer(Protocol):
    """What the queue trains with."""

    def wait_idle(self, timeout: float) -> bool:
        """Waits until no training runs; returns whether none does."""

    def train(self, settings: Mapping[str, Any], interrupted: bool) -> tuple[str, str]:
        """Trains to the end and returns an entry's state and message; "waiting" where another one was quicker."""


class Queue(QueueFile):
    """The queue of the process that can train."""

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        """Opens the queue of a settings folder; begins nothing."""
        super().__init__(folder)
        self._trainer = trainer
        self._lock = threading.Lock()
        self._going = False
        self._thread: threading.Thread | None = None

    @property
    def going(self) -> bool:
        """Whether this process trains what waits, one after the other."""
        with self._lock:
            return self._going

    def start(self) -> threading.Thread:
        """Trains what waits, one after the other, in a thread, until nothing waits or the queue is paused.

        While the last training before a pause still runs, the queue simply goes on.

        Raises:
            UserError: another process runs this queue.
        """
        with self._lock:
            if self._thread is None:
                lock = self.runner_lock()
                if not take(lock):
                    raise UserError("Another process runs this queue: pause it there, or wait until it is through.")
                self._thread = threading.Thread(target=self._run, args=(lock,), name="training queue", daemon=True)
                self._thread.start()
            self._going = True
            return self._thread

    def pause(self) -> None:
        """Begins no further training; the running one goes on to its end."""
        with self._lock:
            self._going = False

    def _run(self, lock: BaseFileLock) -> None:
        try:
            while self._goes_on(lock):
                if not self._trainer.wait_idle(1.0):
                    continue
                entry = self._begin_next()
                if entry is None:
                    self.pause()
                    continue
                state, message = self._trainer.train(entry.settings, interrupted=entry.tries > 1)
                self._note(entry.number, state, message)
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._end(lock)

    def _goes_on(self, lock: BaseFileLock) -> bool:
        """Whether another training is to begin; if not, the thread counts as ended from this very moment."""
        with self._lock:
            if not self._going:
                self._end(lock)
            return self._going

    def _end(self, lock: BaseFileLock) -> None:
        self._going, self._thread = False, None
        lock.release()

    def _begin_next(self) -> Entry | None:
        """Marks the first waiting entry as running; gives up those during which the program ended too often."""
        with self.edited() as entries:
            for index, entry in enumerate(entries):
                if entry.state in ENDED:
                    continue
                if entry.tries >= _TRIES:
                    entries[index] = dataclasses.replace(entry, state=FAILED, message=(
                        f"The program ended {entry.tries} times while this was trained. Look at its console, then add "
                        "it to the queue again."))
                    continue
                entries[index] = dataclasses.replace(entry, state=RUNNING, tries=entry.tries + 1)
                return entries[index]
        return None

    def _note(self, number: int, state: str, message: str) -> None:
        """Writes down how an entry ended; old ones that ended leave the list."""
        with self.edited() as entries:
            for index, entry in enumerate(entries):
                if entry.number == number:
                    tries = 0 if state == WAITING else entry.tries
                    entries[index] = dataclasses.replace(entry, state=state, message=message, tries=tries)
            ended = [entry for entry in entries if entry.state in ENDED]
            for entry in ended[:-_KEPT]:
                entries.remove(entry)
