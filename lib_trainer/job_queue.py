"""Trainings in line: a file that outlives the program, and a thread that trains one after the other.

The file `queue.json` in the host's settings folder is the queue; every change reads it, changes it and writes it whole,
under a lock that other processes heed, so a page, the API and the command line may change it at once. One process runs
the queue; it holds a lock that the system takes back when the process dies. An entry that is marked as running while
nobody holds that lock was interrupted: it goes first when the queue is started again, from the last state of its run,
or from the beginning where there is none. Nothing starts by itself with the program.
"""
from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from filelock import BaseFileLock

FILE = "queue.json"
WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"
ENDED = (DONE, STOPPED, FAILED)
_KEPT = 20
"""Ended entries that stay in the list."""
_TRIES = 3
"""How often an entry is tried whose program ended while it was trained: it may be what ends the program."""


@dataclass(frozen=True)
class Entry:
    """One training of the queue.

    Attributes:
        number: stays the same wherever the entry is moved, and is no other entry's, ever. name: of the LoRA.
        settings: all settings by field name.
        state: "waiting", "running", "done", "stopped" or "failed".
        message: the file that was written, or why it failed.
        tries: how often it was begun.
    """

    number: int
    name: str
    settings: dict[str, Any]
    state: str = WAITING
    message: str = ""
    tries: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns what a list of the queue shows."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "settings"}


class Line(list[Entry]):
    """The entries in their order, and the number that the next one gets: none is given twice."""

    next: int = 1


class Trainer(Protocol):
    """What the queue trains with."""

    def wait_idle(self, timeout: float) -> bool:
        """Waits until no training runs; returns whether none does."""

    def train(self, settings: Mapping[str, Any], interrupted: bool) -> tuple[str, str]:
        """Trains to the end and returns an entry's state and message; "waiting" where another one was quicker."""


class QueueFile:
    """The trainings in line of one settings folder: looked at and changed, by whatever process."""

    def __init__(self, folder: Path) -> None:
        """Opens the queue of a settings folder; reads nothing yet."""
        self._file = folder / FILE

    @property
    def going(self) -> bool:
        """Whether this process trains what waits, one after the other."""
        return False

    def entries(self) -> list[Entry]:
        """Returns all entries in their order: ended ones, the running one, those that wait.

        Raises:
            UserError: the queue's file is damaged.
        """
        return self._told(self._read())

    def add(self, settings: Mapping[str, Any]) -> Entry:
        """Puts a training at the end of the line.

        Args:
            settings: settings that were checked, by field name.

        Raises:
            UserError: a training of the same name waits already, or the file cannot be changed.
        """
        with self._edited() as entries:
            name = str(settings["name"])
            if not settings.get("resume") and any(entry.name == name for entry in entries if entry.state not in ENDED):
                raise UserError(f"A training with the name {name!r} is in the queue already: choose another name.")
            entry = Entry(entries.next, name, dict(settings))
            entries.next += 1
            entries.append(entry)
        return entry

    def remove(self, number: int) -> None:
        """Takes an entry out.

        Raises:
            UserError: there is none of this number, or it is being trained.
        """
        with self._edited() as entries:
            entry = _numbered(entries, number)
            if self._told([entry])[0].state == RUNNING:
                raise UserError(f"'{entry.name}' is being trained: stop it, then it leaves the queue by itself.")
            entries.remove(entry)

    def move(self, number: int, by: int) -> None:
        """Moves a waiting entry up (negative) or down among those that wait, as far as there is room.

        Raises:
            UserError: there is none of this number, or it does not wait.
        """
        with self._edited() as entries:
            entry = _numbered(entries, number)
            waiting = [index for index, one in enumerate(self._told(entries)) if one.state == WAITING]
            index = entries.index(entry)
            if index not in waiting:
                raise UserError(f"'{entry.name}' does not wait any more, so it cannot be moved.")
            place = waiting[max(0, min(len(waiting) - 1, waiting.index(index) + by))]
            entries.insert(place, entries.pop(index))

    def _told(self, entries: list[Entry]) -> list[Entry]:
        """Returns the entries as they really are: what nobody trains any more waits again."""
        if self.going or all(entry.state != RUNNING for entry in entries) or self._is_run_elsewhere():
            return entries
        return [dataclasses.replace(entry, state=WAITING, message="interrupted") if entry.state == RUNNING else entry
                for entry in entries]

    def _is_run_elsewhere(self) -> bool:
        lock = self._runner_lock()
        if _take(lock):
            lock.release()
            return False
        return True

    def _runner_lock(self) -> BaseFileLock:
        from filelock import FileLock

        return FileLock(self._file.with_suffix(".running.lock"), timeout=0)

    @contextmanager
    def _edited(self) -> Iterator[Line]:
        """Gives the entries to be changed, and writes them; whatever is raised inside changes nothing.

        Raises:
            UserError: the file is damaged or cannot be written.
        """
        from filelock import FileLock

        from lib_trainer.lora import whole

        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._file.with_suffix(".lock")):
            entries = self._read()
            yield entries
            content = {"next": entries.next, "entries": [dataclasses.asdict(entry) for entry in entries]}
            whole.write(self._file, json.dumps(content, indent=1).encode("utf8"), overwrite=True)

    def _read(self) -> Line:
        try:
            found = json.loads(self._file.read_text(encoding="utf8"))
            line = Line(Entry(**entry) for entry in found["entries"])
            line.next = max([found.get("next", 1), *(entry.number + 1 for entry in line)])  # older files lack it
            return line
        except FileNotFoundError:
            return Line()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"The queue's file {self._file} cannot be read ({error}): mend it, or remove it to begin "
                            "with an empty queue.") from None


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
                lock = self._runner_lock()
                if not _take(lock):
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
        with self._edited() as entries:
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
        with self._edited() as entries:
            for index, entry in enumerate(entries):
                if entry.number == number:
                    tries = 0 if state == WAITING else entry.tries
                    entries[index] = dataclasses.replace(entry, state=state, message=message, tries=tries)
            ended = [entry for entry in entries if entry.state in ENDED]
            for entry in ended[:-_KEPT]:
                entries.remove(entry)


def _numbered(entries: list[Entry], number: int) -> Entry:
    found = next((entry for entry in entries if entry.number == number), None)
    if found is None:
        raise UserError(f"There is no training number {number} in the queue: look at the list again.")
    return found


def _take(lock: BaseFileLock) -> bool:
    """Returns whether the lock could be taken; a file system without locks has nobody else to heed."""
    from filelock import Timeout

    with contextlib.suppress(OSError, NotImplementedError):
        try:
            lock.acquire()
        except Timeout:
            return False
    return True
