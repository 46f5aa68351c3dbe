"""Files of a run: when they are due, how they are called, and that none is lost when a disk is full.

A file that cannot be written makes the run wait: the person frees space (or moves the file that has the name) and
presses Continue; nothing learned is thrown away meanwhile. Older files are removed where the settings say so, and only
those that this run wrote and that are still as it wrote them.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch

from lib_trainer.errors import UserError
from lib_trainer.lora import file, metadata
from lib_trainer.training.checks.files import SUFFIX, output_folder
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import Continued, Event, Paused, Removed, Saved, Warned
from lib_trainer.training.outputs import record
from lib_trainer.training.resume.run_record import RunRecord
from lib_trainer.training.run import Run
from lib_trainer.training.statistics import diagnosis

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "float": torch.float32}
"""File precisions of the config."""


def due(run: Run) -> list[str]:
    """Returns the names of the files to write after the present update (the last one has the final file instead)."""
    config = run.config
    names = []
    if config.save_every_steps and run.step % config.save_every_steps == 0:
        names.append(step_name(run))
    apart = epochs_apart(config, run.length.epochs)
    if run.epoch_ended and apart and run.epoch % apart == 0:
        names.append(f"{config.name}-{run.epoch:06d}")
    return names


def epochs_apart(config: TrainConfig, epochs: int) -> int:
    """Returns after how many epochs each a file is due, 0 = never.

    Args:
        config: the settings; a number of files wins over a number of epochs.
        epochs: of the run.
    """
    return max(1, epochs // config.save_epoch_ratio) if config.save_epoch_ratio else config.save_every_epochs


def surplus(run: Run) -> list[str]:
    """Returns the names of files of this run that are too old to be kept, the oldest first.

    Of the epoch files the last `keep_last_epochs` stay; of the step files those of the last `keep_last_steps` steps,
    and always those that a person asked for (between the steps at which files are due).
    """
    config = run.config
    apart = config.save_every_steps
    name = re.escape(config.name)
    written = [Path(path).stem for path in run.record.files]
    epochs = sorted(found for found in written if re.fullmatch(rf"{name}-\d{{6}}", found))
    steps = {int(match[1]): match[0] for found in written if (match := re.fullmatch(rf"{name}-step(\d{{8}})", found))}
    old = epochs[:-config.keep_last_epochs] if config.keep_last_epochs else []
    if config.keep_last_steps and apart:
        old += [steps[step] for step in sorted(steps) if step % apart == 0 and step < run.step - config.keep_last_steps]
    return old


def step_name(run: Run) -> str:
    """Returns the name of a file of the present update."""
    return f"{run.config.name}-step{run.step:08d}"


def save(run: Run, name: str, final: bool = False) -> Iterator[Event]:
    """Writes the adapters as they are now; waits for the person while they cannot be written.

    Raises:
        UserError: they cannot be written and the person gives up (stops without saving), or they are no numbers.
    """
    if not run.world.is_main:
        return
    path = output_folder(run.config, run.host) / f"{name}{SUFFIX}"
    tensors = run.network.state_dict(DTYPES[run.config.save_precision])
    diagnosis.check_file(name, tensors)
    facts = record.describe(run)
    facts |= metadata.hashes(tensors, facts)
    while True:
        try:
            own = run.record.is_own(path)
            run.record.add_file(run.folder, path, facts[metadata.MODEL_HASH])
            file.save(path, tensors, facts, overwrite=own)
            break
        except UserError as fault:
            yield from _wait(run, fault)
    run.saved.add(name)
    yield from _prune(run, path.parent)
    run.host.lora_saved(path)
    yield Saved(run.step, run.epoch, str(path), name, final)


def throw_away(owner: RunRecord, path: Path, step: int = 0) -> Iterator[Event]:
    """Removes a file that is still as its run has written it.

    Args:
        owner: the record of the run. path: the file. step: updates done, for the event.
    """
    if not owner.is_own(path):
        return
    try:
        path.unlink()
    except OSError as error:
        yield Warned(f"The file {path} stays, since it cannot be removed ({error}).")
    else:
        yield Removed(step, str(path), path.stem)


def _prune(run: Run, folder: Path) -> Iterator[Event]:
    """Removes files that are too old to be kept; one that is no longer as this run wrote it stays."""
    for name in surplus(run):
        path = folder / f"{name}{SUFFIX}"
        own = run.record.is_own(path)
        try:
            if own:
                path.unlink()
            run.record.remove_file(run.folder, path)
        except (UserError, OSError) as error:
            yield Warned(f"The older file {path} stays, since it cannot be removed ({error}).")
        else:
            if own:
                yield Removed(run.step, str(path), name)


def _wait(run: Run, fault: UserError) -> Iterator[Event]:
    """Holds the run until the person continues or stops; where several processes train, nobody is there to ask."""
    if run.world.size > 1:
        raise fault
    run.controls.hold()
    yield Paused(run.step, f"{fault} The training waits: press Continue to save again, or stop without saving.")
    while run.controls.paused:
        run.controls.wait(1.0)
    if run.controls.stopping == "discard":
        raise fault
    yield Continued(run.step)
