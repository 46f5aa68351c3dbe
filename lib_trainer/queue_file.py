"""The queue of trainings as a file that outlives the program, and that several processes change.

`queue.json` in the host's settings folder is the queue; every change reads it, changes it and writes it whole, under a
lock that other processes heed, so a page, the API and the command line may change it at once. Whoever runs the queue
holds a second lock, which the system takes back when the process dies: an entry that is marked as running while nobody
holds it was interrupted, and waits again.
"""
from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from filelock import BaseFileLock

FILE = "queue.json"
WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"
ENDED = (DONE, STOPPED, FAILED)


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
        with self.edited() as entries:
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
        with self.edited() as entries:
            entry = _numbered(entries, number)
            if self._told([entry])[0].state == RUNNING:
                raise UserError(f"'{entry.name}' is being trained: stop it, then it leaves the queue by itself.")
            entries.remove(entry)

    def move(self, number: int, by: int) -> None:
        """Moves a waiting entry up (negative) or down among those that wait, as far as there is room.

        Raises:
            UserError: there is none of this number, or it does not wait.
        """
        with self.edited() as entries:
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
        lock = self.runner_lock()
        if take(lock):
            lock.release()
            return False
        return True

    def runner_lock(self) -> BaseFileLock:
        """Returns the lock that whoever runs the queue holds; not taken yet, and not waited for."""
        from filelock import FileLock

        return FileLock(self._file.with_suffix(".running.lock"), timeout=0)

    @contextmanager
    def edited(self) -> Iterator[Line]:
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


def _numbered(entries: list[Entry], number: int) -> Entry:
    found = next((entry for entry in entries if entry.number == number), None)
    if found is None:
        raise UserError(f"There is no training number {number} in the queue: look at the list again.")
    return found


def take(lock: BaseFileLock) -> bool:
    """Returns whether the lock could be taken; a file system without locks has nobody else to heed."""
    from filelock import Timeout

    with contextlib.suppress(OSError, NotImplementedError):
        try:
            lock.acquire()
        except Timeout:
            return False
    return True
