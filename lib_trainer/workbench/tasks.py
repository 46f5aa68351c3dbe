"""One operation of the workbench at a time, in a thread of its own, with progress, Cancel, and the last outcomes.

An operation needs no model, only files, so it runs beside a training and on every host.
"""
from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lib_trainer.errors import Problems, UserError
from lib_trainer.workbench.operation import Cancelled, Operation, Outcome, Progress, finish

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
KEPT = 20
"""Tasks that are remembered, the running one included."""


@dataclass(frozen=True)
class Files:
    """What an operation works on, for people: names of the files that it reads, and of the one it makes ("" = none)."""

    read: tuple[str, ...] = ()
    made: str = ""


NO_FILES = Files()


class Busy(UserError):
    """An operation was started while another one runs."""


class Task:
    """An operation that runs or has ended.

    Attributes:
        number: 1 for the first of this process. operation: its name. title: for people, such as "Merge".
        files: what it works on, and what it makes.
    """

    def __init__(
        self, number: int, operation: str, title: str, ended: Callable[[Outcome], None], files: Files = NO_FILES
    ) -> None:
        self.number, self.operation, self.title, self.files = number, operation, title, files
        self._ended = ended
        self._cancel = threading.Event()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._state = RUNNING
        self._begun = time.monotonic()
        self._seconds = 0.0
        self._changes = 0
        self._progress = Progress(0, 1, "")
        self._outcome: Outcome | None = None
        self._problems: list[str] = []

    @property
    def running(self) -> bool:
        """Whether it has not ended; its outcome is there once this is False."""
        return not self._over.is_set()

    def cancel(self) -> None:
        """Ends it after what it is doing now; nothing half done is left."""
        self._cancel.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end; returns whether it has ended."""
        return self._over.wait(timeout)

    def state(self) -> dict[str, Any]:
        """Returns how far it is, ready for JSON; `change` counts up with whatever changes."""
        with self._lock:
            seconds = self._seconds or time.monotonic() - self._begun
            return {
                "number": self.number, "operation": self.operation, "title": self.title, "state": self._state,
                "files": list(self.files.read), "out": self.files.made,
                "change": self._changes, "cancelling": self._cancel.is_set() and self._state == RUNNING,
                "done": self._progress.done, "total": self._progress.total, "what": self._progress.what,
                "seconds": round(seconds, 1), "problems": list(self._problems),
            }

    @property
    def outcome(self) -> Outcome | None:
        """What it has come to; None while there is nothing."""
        with self._lock:
            return self._outcome

    def full(self) -> dict[str, Any]:
        """Returns its state with the outcome, None while there is none."""
        outcome = self.outcome
        return {**self.state(), "outcome": _plain(outcome.to_json()) if outcome else None}

    def run(self, operation: Operation) -> None:
        """Runs to the end; a bug of ours is told like a failure and goes on to the console."""
        try:
            outcome = finish(operation, self._show, self._cancel.is_set)
        except Cancelled:
            self._end(CANCELLED)
        except Problems as error:
            self._end(FAILED, error.problems)
        except UserError as error:
            self._end(FAILED, [str(error)])
        else:
            self._succeed(outcome)
        finally:
            if self.running:
                bug = sys.exc_info()[1]
                self._end(FAILED, [f"This is a bug of the LoRA Workbench, please report it with what the console says: "
                                   f"{type(bug).__name__}: {bug}"])

    def _succeed(self, outcome: Outcome) -> None:
        """Tells who wants to know of an outcome. What fails there goes on to the console and is a note: the work is
        done, and its file is there.
        """
        notes = outcome.notes
        try:
            self._ended(outcome)
        finally:
            if fault := sys.exc_info()[1]:
                notes = [*notes, f"It is done, but the program's list could not be read anew ({type(fault).__name__}: "
                                 f"{fault}): refresh it by hand."]
            self._end(DONE, outcome=replace(outcome, notes=notes))

    def _show(self, progress: Progress) -> None:
        with self._lock:
            self._progress = progress
            self._changes += 1

    def _end(self, state: str, problems: list[str] | None = None, outcome: Outcome | None = None) -> None:
        with self._lock:
            self._state, self._problems, self._outcome = state, problems or [], outcome
            self._seconds = time.monotonic() - self._begun
            self._changes += 1
        self._over.set()


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Returns JSON as every writer takes it: keys are texts, and so is NaN."""
    plain: dict[str, Any] = json.loads(json.dumps(told), parse_constant=str)
    return plain


class Tasks:
    """The tasks of this process."""

    def __init__(self, ended: Callable[[Outcome], None] = lambda outcome: None) -> None:
        """Starts with none.

        Args:
            ended: told of every outcome, in the task's thread.
        """
        self._ended = ended
        self._lock = threading.Lock()
        self._tasks: list[Task] = []
        self._count = 0
        self._current: Task | None = None

    def start(
        self, name: str, title: str, operation: Operation, instant: bool = False, files: Files = NO_FILES
    ) -> Task:
        """Starts an operation.

        Args:
            name, title: of the operation.
            operation: what to do; closed where it is refused.
            instant: whether it only reads for a moment and may run beside another one.
            files: what it works on, for a list of tasks.

        Raises:
            Busy: another one runs.
        """
        with self._lock:
            if not instant and self._current is not None and self._current.running:
                operation.close()
                raise Busy(f"'{self._current.title}' is running: wait for its end or cancel it, then start again.")
            self._count += 1
            task = Task(self._count, name, title, self._ended, files)
            self._remember(task)
            if not instant:
                self._current = task
        threading.Thread(target=task.run, args=(operation,), name=f"workbench {name}", daemon=True).start()
        return task

    def _remember(self, task: Task) -> None:
        """Adds a task and forgets the oldest one that has ended: looks into files must not push out what runs."""
        self._tasks.append(task)
        ended = (one for one in self._tasks if not one.running)
        if len(self._tasks) > KEPT and (oldest := next(ended, None)) is not None:
            self._tasks.remove(oldest)

    def all(self) -> list[Task]:
        """The tasks that are remembered, the oldest first."""
        with self._lock:
            return list(self._tasks)

    def find(self, number: int) -> Task:
        """Returns a task.

        Raises:
            UserError: there is none of this number any more, or yet.
        """
        for task in self.all():
            if task.number == number:
                return task
        raise UserError(f"There is no operation of the number {number}: the last {KEPT} of this process are kept.")

    def running(self) -> Task:
        """Returns the running one.

        Raises:
            UserError: none is running.
        """
        current = self._current
        if current is None or not current.running:
            raise UserError("No operation is running, so there is nothing to cancel.")
        return current
