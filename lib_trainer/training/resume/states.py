"""States of a run: when they are due, what is in them, which old ones go, and how one is taken back.

A state is written between two updates and after everything else that belongs to the first of them, so a run that goes
on from it has nothing to do again. One that cannot be written is told and does not stop the training.
"""
from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from lib_trainer.data.item import Item
from lib_trainer.data.plan import Plan
from lib_trainer.errors import Problems, UserError
from lib_trainer.host_model import Checkpoint
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import Event, StateSaved, Warned
from lib_trainer.training.progress import Length
from lib_trainer.training.resume import agreement, search, state_folder
from lib_trainer.training.resume.search import Found
from lib_trainer.training.resume.state_folder import State
from lib_trainer.training.resume.stateful import Stateful
from lib_trainer.training.run import Run
from lib_trainer.training.statistics import diagnosis
from lib_trainer.training.strengths import asked


def switched_on(config: TrainConfig) -> bool:
    """Whether a run writes states at all."""
    return bool(config.state_every_minutes or config.state_every_steps or config.state_every_epochs
                or config.state_at_end)


def most(config: TrainConfig, length: Length) -> int:
    """Returns how many states of a run lie on the disk at once, at most."""
    if not switched_on(config):
        return int(asked.wanted(config))  # while its result is drawn
    if config.keep_states:
        return config.keep_states + 1  # the new one is whole before the oldest goes
    by_step = length.total // config.state_every_steps if config.state_every_steps else 0
    by_epoch = length.epochs // config.state_every_epochs if config.state_every_epochs else 0
    return by_step + by_epoch + 1


def due(run: Run) -> bool:
    """Whether a state is written after the present update."""
    config = run.config
    by_step = config.state_every_steps and run.step % config.state_every_steps == 0
    by_epoch = run.epoch_ended and config.state_every_epochs and run.epoch % config.state_every_epochs == 0
    waited = time.monotonic() - run.state_written_at
    by_time = config.state_every_minutes and waited >= 60 * config.state_every_minutes
    return bool(by_step or by_epoch or by_time)


def save(run: Run, prune: bool = True) -> Iterator[Event]:
    """Writes a state unless this update has one; rank 0 alone writes.

    Args:
        run: the run.
        prune: whether states that are too many are removed; not for one that itself goes in a moment.
    """
    if run.state_step == run.step or run.step == 0 or not run.world.is_main:
        return
    folder = run.folder / state_folder.folder_name(run.config.name, run.step)
    try:
        diagnosis.check_adapters(run)
        objects = {name: held.state_dict() for name, held in run.stateful.items()}
        state_folder.write(folder, _facts(run), agreement.pictures(run.items), objects)
    except UserError as fault:
        yield Warned(f"{fault} The training goes on without it.")
        return
    finally:
        run.state_written_at = time.monotonic()
    run.state_step = run.step
    if prune:
        _prune(run)
    yield StateSaved(run.step, str(folder), folder.name)


def remove(run: Run) -> None:
    """Removes the state of the present update, if it has one."""
    with contextlib.suppress(UserError, OSError):
        state_folder.remove(state_folder.read(run.folder / state_folder.folder_name(run.config.name, run.step)))


def _prune(run: Run) -> None:
    """Removes the oldest states of this very run beyond the number to keep; nothing else is touched."""
    if not run.config.keep_states:
        return
    own = []
    for folder in search.states(run.folder):
        try:
            state = state_folder.read(folder)
        except UserError:
            continue  # not readable, so nobody can say that it is this run's
        if state.facts["session"] == run.record.session:
            own.append(state)
    for state in own[run.config.keep_states:]:
        state_folder.remove(state)


def _facts(run: Run) -> dict[str, Any]:
    """Returns what `state.json` says beside the nested state."""
    return {
        "name": run.config.name, "session": run.record.session, "started_at": run.record.started_at,
        "written_at": time.time(),
        "position": {"step": run.step, "epoch": run.epoch, "total": run.length.total,
                     "update_of_epoch": run.step % run.length.updates_per_epoch, "micro_batch": 0},
        "config": run.config.to_dict(),
        "base": agreement.base_facts(run.checkpoint),
        "data": {"plan": agreement.plan(run.plan), "pictures": len(run.items)},
        "versions": versions(run),
        "preview": str(run.preview or ""),
        "changes": run.record.changes,
    }


def versions(run: Run) -> dict[str, str]:
    """Returns what the last bits of the numbers may depend on."""
    device = run.device
    return {
        "torch": torch.__version__, "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": run.precision, "processes": str(run.world.size),
    }


def check_same(found: Found, checkpoint: Checkpoint, items: Sequence[Item], plan: Plan, length: Length) -> None:
    """Checks that a run can go on with the pictures and the checkpoint that are there now.

    Raises:
        Problems: they are not those of the state, or there is nothing left to do; all reasons together.
    """
    state = found.state
    if state is None:
        return
    faults = _differences(state, checkpoint, items, plan)
    finished = found.record is not None and found.record.finished
    if length.total < state.step or (length.total == state.step and finished):
        faults.append(f"resume = {state.folder.name!r}: {state.step} steps are done and the run ends at step "
                      f"{length.total}: raise Epochs or Steps to train on.")
    if faults:
        raise Problems(faults)


def restore(run: Run, state: State) -> Iterator[Event]:
    """Takes a state back: the run goes on after the state's update.

    Raises:
        UserError: the state is damaged, or other parts were trained.
    """
    objects = state.objects()
    try:
        for name, held in run.stateful.items():
            _take_back(held, objects[name])
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"The state {str(state.folder)!r} does not fit the present settings ({error}): a part that was "
                        "trained then is not trained now, or the other way round. Put the rates back.") from error
    run.step, run.epoch, run.state_step = state.step, int(state.facts["position"]["epoch"]), state.step
    run.preview = Path(state.facts["preview"]) if state.facts["preview"] else None
    before, now = state.facts["versions"], versions(run)
    changed = [f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]]
    if changed:
        yield Warned(f"The state was written under other conditions ({', '.join(changed)}): the training goes on from "
                     "it, but the last bits may differ from those of a run that never ended.")


def _differences(state: State, checkpoint: Checkpoint, items: Sequence[Item], plan: Plan) -> list[str]:
    """Returns why the state's run and this one are not the same, one sentence each."""
    where = f"resume = {state.folder.name!r}:"
    base = agreement.base_difference(state.facts["base"], agreement.base_facts(checkpoint))
    found = [f"{where} {base}; load that checkpoint."] if base else []
    data = agreement.data_differences(state.pictures(), agreement.pictures(items))
    if not data and state.facts["data"]["plan"] != agreement.plan(plan):
        data = ["the pictures are the same, but they would come in another order, crop or with other captions."]
    return found + [f"{where} {sentence} Put the data set back as it was, or begin anew." for sentence in data]


def _take_back(held: Stateful, state: dict[str, Any]) -> None:
    """Gives an object its state.

    An optimiser casts what it is given to the dtype of its parameters; a state keeps its own, to the last bit.
    """
    if not state:
        return  # a gradient scaler that was not in use
    held.load_state_dict(state)
    if not isinstance(held, torch.optim.Optimizer):
        return
    parameters = [parameter for group in held.param_groups for parameter in group["params"]]
    for index, kept in state["state"].items():
        present = held.state[parameters[index]]
        for key, value in kept.items():
            if isinstance(value, torch.Tensor) and present[key].dtype != value.dtype:
                present[key] = value.to(present[key].device)
