"""Finding what a person wants to go on with: by path, by name, or the newest run of a name."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths
from lib_trainer.training.resume import run_record, sd_scripts_state, state_folder
from lib_trainer.training.resume.run_record import RunRecord
from lib_trainer.training.resume.state_folder import State
from lib_trainer.training.resume.words import AUTO

JOBS = "train-lora"
"""Folder of the jobs inside the host's outputs."""

CONFIG = "config.json"
"""The settings of a job, in its folder."""


@dataclass(frozen=True)
class Found:
    """Where to go on.

    Attributes:
        folder: the job's folder. record: its record, None where that is lost.
        state: the state to take back; None = the run had not written one yet and begins anew as the same run.
        passed_over: newer states that are damaged, one sentence each.
    """

    folder: Path
    record: RunRecord | None
    state: State | None
    passed_over: tuple[str, ...] = ()

    @property
    def is_of_phases(self) -> bool:
        """Whether it is a training of several runs; their states lie in folders of their own, inside this one."""
        return self.record is not None and self.record.phases > 0

    @property
    def settings(self) -> dict[str, Any]:
        """The settings it was trained with, by field name; none where nothing was kept."""
        if self.state is not None:
            return self.state.config
        try:
            return dict(json.loads((self.folder / CONFIG).read_text(encoding="utf8")))
        except (OSError, ValueError, TypeError):
            return {}

    @property
    def progress(self) -> tuple[int, int]:
        """How far it is: updates done and in all, or parts done and in all where it takes several runs."""
        if self.record is not None and self.record.phases:
            return len(self.record.done), self.record.phases
        return (self.state.step, int(self.state.facts["position"]["total"])) if self.state else (0, 0)


def find(text: str, name: str, paths: HostPaths) -> Found | None:
    """Returns what the setting `resume` means.

    Args:
        text: "auto", a state's folder, a job's folder, a state's name or a LoRA's name.
        name: the LoRA's name in the settings.
        paths: the host's folders.

    Returns:
        None only for "auto", where no run of the name has begun yet.

    Raises:
        UserError: there is no such state.
    """
    if text == AUTO:
        return _newest_run(name, paths)
    for path in (Path(text), *(folder / text for folder in _job_folders(paths)), paths.outputs / JOBS / text):
        if (path / state_folder.FACTS).is_file():
            return _of_state(path)
        if (path / run_record.NAME).is_file():
            return of_job(path)
        if sd_scripts_state.is_one(path):
            raise UserError(sd_scripts_state.refusal(path))
    newest = _newest_run(text, paths)
    if newest is None:
        raise UserError(_nothing(text, paths))
    return newest


def states(folder: Path) -> list[Path]:
    """Returns the folders of a job's states, the newest first."""
    found = [path for path in folder.glob("*-state-*") if state_folder.is_state_name(path.name) and path.is_dir()]
    return sorted(found, key=_age)


def all_states(paths: HostPaths) -> list[Path]:
    """Returns the folders of all states, those of the newest first."""
    return sorted((path for folder in _job_folders(paths) for path in states(folder)), key=_age)


def interrupted(paths: HostPaths) -> Found | None:
    """Returns the newest training if it was neither finished nor is running, and something is there to go on from.

    A run that is part of another training lies inside that one's folder and is never offered by itself.
    """
    folders = sorted(_job_folders(paths), key=_last_written)
    if not folders:
        return None
    record = run_record.read(folders[-1])
    if record is None or record.finished or run_record.is_held(folders[-1]):
        return None
    found = of_job(folders[-1])
    return found if found.state or (found.is_of_phases and found.settings) else None


def _age(path: Path) -> tuple[float, str]:
    """Sorts the newest first."""
    return -_time(path / state_folder.FACTS), path.name


def _last_written(folder: Path) -> float:
    """When a job was last heard of; the runs inside one of several runs count."""
    record = run_record.read(folder)
    inside = [path.parent for path in folder.glob(f"*/{run_record.NAME}")] if record and record.phases else []
    return max([_time(one / run_record.NAME) for one in (folder, *inside)]
               + [_time(path / state_folder.FACTS) for one in (folder, *inside) for path in states(one)])


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _job_folders(paths: HostPaths) -> list[Path]:
    parent = paths.outputs / JOBS
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _newest_run(name: str, paths: HostPaths) -> Found | None:
    named = [folder for folder in _job_folders(paths)
             if (record := run_record.read(folder)) is not None and record.name == name]
    return of_job(max(named, key=_last_written)) if named else None


def _of_state(folder: Path) -> Found:
    return Found(folder.parent, run_record.read(folder.parent), state_folder.read(folder))


def of_job(folder: Path) -> Found:
    """Returns a job's newest state that is whole; what its run began from where it has none."""
    record = run_record.read(folder)
    damaged: list[str] = []
    for state in _readable(states(folder), damaged):
        return Found(folder, record, state, tuple(damaged))
    origin = state_folder.read(Path(record.origin)) if record and record.origin else None
    return Found(folder, record, origin, tuple(damaged))


def _readable(folders: list[Path], damaged: list[str]) -> Iterator[State]:
    for folder in folders:
        try:
            yield state_folder.read(folder)
        except UserError as fault:
            damaged.append(str(fault))


def _nothing(text: str, paths: HostPaths) -> str:
    there = [path.name for path in all_states(paths)]
    known = f"there are {', '.join(there[:5])}" + (" ..." if len(there) > 5 else "") if there else "there is none yet"
    return (f"resume = {text!r}: there is no such state, neither as a folder nor by name in "
            f"{str(paths.outputs / JOBS)!r} ({known}). Leave it empty to begin anew, or write 'auto'.")
