"""Files of a run: when they are due, how they are called, and that none is lost when a disk is full.

A file that cannot be written makes the run wait: the person frees space (or moves the file that has the name) and
presses Continue; nothing learned is thrown away meanwhile.
"""
from __future__ import annotations

from collections.abc import Iterator

import torch

from lib_trainer.errors import UserError
from lib_trainer.lora import file, metadata
from lib_trainer.training import record
from lib_trainer.training.checks.files import SUFFIX, output_folder
from lib_trainer.training.events import Continued, Event, Paused, Saved
from lib_trainer.training.resume.run_record import is_own
from lib_trainer.training.run import Run

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "float": torch.float32}
"""File precisions of the config."""


def due(run: Run) -> list[str]:
    """Returns the names of the files to write after the present update (the last one has the final file instead)."""
    config = run.config
    names = []
    if config.save_every_steps and run.step % config.save_every_steps == 0:
        names.append(step_name(run))
    if run.epoch_ended and config.save_every_epochs and run.epoch % config.save_every_epochs == 0:
        names.append(f"{config.name}-{run.epoch:06d}")
    return names


def step_name(run: Run) -> str:
    """Returns the name of a file of the present update."""
    return f"{run.config.name}-step{run.step:08d}"


def save(run: Run, name: str, final: bool = False) -> Iterator[Event]:
    """Writes the adapters as they are now; waits for the person while they cannot be written.

    Raises:
        UserError: they cannot be written and the person gives up (stops without saving).
    """
    if not run.world.is_main:
        return
    path = output_folder(run.config, run.host) / f"{name}{SUFFIX}"
    own = str(path) in run.record.files
    tensors = run.network.state_dict(DTYPES[run.config.save_precision])
    facts = record.describe(run)
    facts |= metadata.hashes(tensors, facts)
    while True:
        try:
            run.record.add_file(run.folder, path)
            file.save(path, tensors, facts, overwrite=own and is_own(path, run.session))
            break
        except UserError as fault:
            yield from _wait(run, fault)
    run.saved.add(name)
    run.host.lora_saved(path)
    yield Saved(run.step, run.epoch, str(path), name, final)


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
