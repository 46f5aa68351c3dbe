"""The folder of a job, `outputs/train-lora/NAME`: a new run gets a new one, a run that goes on keeps its own."""
from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.resume.run_record import RunRecord
from lib_trainer.training.resume.search import CONFIG, JOBS, Found
from lib_trainer.training.world import World


def prepare(
    config: TrainConfig, host: Host, findings: Findings, world: World
) -> tuple[Path, RunRecord]:
    """Makes or finds the job's folder, in one process; writes the settings and the run's record into it.

    Args:
        config: the settings. host: where the folder lies.
        findings: what the run goes on with, and settings that differ from those of its state.
        world: the processes that train together; none of them writes before all have looked at what is there.

    Raises:
        UserError: the folder cannot be made or written.
    """
    world.gather(None)
    made = _prepared(config, host, findings) if world.is_main else None
    first = world.gather(made)[0]
    if first is None:
        raise RuntimeError("Process 0 has made no folder.")
    return first


def place(config: TrainConfig, host: Host, findings: Findings) -> Path:
    """Returns the job's folder as it is, or would be if it were made now."""
    found = findings.found
    if found and is_same_run(config, found):
        return found.folder
    return findings.folder or next(path for path in _names(config.name, host) if not path.exists())


def _prepared(config: TrainConfig, host: Host, findings: Findings) -> tuple[Path, RunRecord]:
    found = findings.found
    record = _record(config, found)
    try:
        folder = _made(config, host, findings)
    except OSError as error:
        raise UserError(f"The folder {error.filename} cannot be made ({error.strerror}): make room or rights."
                        ) from None
    before = list(found.state.facts.get("changes", [])) if found and found.state else []
    if found and found.is_of_phases:
        before = record.changes
    record.changes, record.finished = before + findings.changes, False
    config.dump(folder / CONFIG)
    record.write(folder)
    return folder, record


def _made(config: TrainConfig, host: Host, findings: Findings) -> Path:
    """Makes the job's folder; a new one is nobody else's, also where two programs begin at once.

    Raises:
        OSError: it cannot be made.
    """
    found = findings.found
    if findings.folder or (found and is_same_run(config, found)):
        folder = place(config, host, findings)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    for path in _names(config.name, host):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise AssertionError("names never end")


def is_same_run(config: TrainConfig, found: Found) -> bool:
    """Whether a run goes on under its own name; under another one a new run begins from its state."""
    return (found.record.name if found.record else found.state.name if found.state else "") == config.name


def _record(config: TrainConfig, found: Found | None) -> RunRecord:
    if found is None:
        return RunRecord(config.name)
    if not is_same_run(config, found):
        return RunRecord(config.name, origin=str(found.state.folder) if found.state else "")
    if found.record is None and found.state is not None:  # the record was lost, the state knows the most of it
        return RunRecord(config.name, found.state.facts["session"], found.state.facts["started_at"])
    return found.record or RunRecord(config.name)


def _names(name: str, host: Host) -> Iterator[Path]:
    """Yields `NAME`, `NAME-2`, `NAME-3` ... among the jobs, for ever."""
    for number in itertools.count(1):
        yield host.paths.outputs / JOBS / (name if number == 1 else f"{name}-{number}")
