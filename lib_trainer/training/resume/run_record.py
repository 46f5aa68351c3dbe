"""What the job's folder says of its run in `run.json`: which run it is, which files it has written, whether it is done.

A file's name is put down before the file is written, so after a kill the run knows its own files from a stranger's.
"""
from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.lora import file, whole
from lib_trainer.lora.metadata import MODEL_HASH

NAME = "run.json"
_LOCK = "run.lock"


@dataclass
class RunRecord:
    """The record of one run.

    Attributes:
        name: of the LoRA.
        session: number of the run, the same in every part of it; written into its files as `ss_session_id`.
        started_at: Unix seconds of its very beginning.
        total: updates of the whole run.
        files: LoRA files written or about to be written: path with the digests of the tensors it was given.
        finished: whether it has come to its end, or the person threw its result away.
        origin: folder of another run's state that it began from, "" = from the beginning.
        changes: settings that were changed on the way, one sentence each.
        phases: parts of a training of several runs; 0 = one run.
        done: what its finished parts have left, by the part's key, ready for JSON (see `methods/phases.py`).
    """

    name: str
    session: int = field(default_factory=time.time_ns)
    started_at: float = field(default_factory=time.time)
    total: int = 0
    files: dict[str, list[str]] = field(default_factory=dict)
    finished: bool = False
    origin: str = ""
    changes: list[str] = field(default_factory=list)
    phases: int = 0
    done: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes the record into the job's folder, whole or not at all.

        Raises:
            UserError: it cannot be written.
        """
        content = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)
        whole.write(folder / NAME, content.encode("utf8"), overwrite=True)

    def close(self, folder: Path) -> None:
        """Notes that the run has come to its end; where that cannot be written it is offered once more."""
        self.finished = True
        with contextlib.suppress(UserError):
            self.write(folder)

    def add_file(self, folder: Path, path: Path, digest: str) -> None:
        """Puts down that a file will be written, with the digest of its tensors.

        Raises:
            UserError: the record cannot be written.
        """
        known = self.files.setdefault(str(path), [])
        if digest not in known:
            known.append(digest)
            self.write(folder)

    def remove_file(self, folder: Path, path: Path) -> None:
        """Puts down that a file is not this run's any more.

        Raises:
            UserError: the record cannot be written.
        """
        if self.files.pop(str(path), None) is not None:
            self.write(folder)

    def is_own(self, path: Path) -> bool:
        """Whether the file at a path is there and has tensors that this run wrote to it."""
        try:
            _, facts = file.read_header(path)
        except UserError:
            return False
        return facts.get(MODEL_HASH) in self.files.get(str(path), [])


def read(folder: Path) -> RunRecord | None:
    """Returns the record of a job's folder; None where there is none that can be read."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf8"))
        return RunRecord(**found)
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """While open, no other process can go on with the run of this folder; the system lets go of a killed process's.

    Raises:
        UserError: another process trains it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"The training in {str(folder)!r} is running in another process: stop it there, or wait for its end."
        ) from None
    except (OSError, NotImplementedError):  # a file system without locks must not stop a training
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process trains the run of this folder now."""
    try:
        with held(folder):
            return False
    except UserError:
        return True
