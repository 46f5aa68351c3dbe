"""The training loop: epochs, updates, micro-batches; between two turns saves, previews, pause and stop.

Each micro-batch takes one turn on the host's model: forward and backward, and in an update's last one the update, so
that a generation between two turns never sees adapters that are half updated. What an update draws and does follows
from its number and the run's state alone, so a run may begin at any update.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from functools import partial
from itertools import tee

import torch

from lib_trainer import seeds
from lib_trainer.data.dataset import Batch
from lib_trainer.errors import UserError
from lib_trainer.training import previews, saving, states, step
from lib_trainer.training.events import Continued, Event, Paused, Stepped
from lib_trainer.training.learner import Learner
from lib_trainer.training.run import Run, patiently
from lib_trainer.training.world import share


def train(run: Run, inputs: step.Inputs, learner: Learner) -> Iterator[Event]:
    """Trains from the update after `run.step` to the end of the run or until the person stops it.

    Raises:
        UserError: the loss is no number any more, or a file cannot be written and the person gives up.
    """
    if run.step >= run.length.total:
        return
    updates, read = tee(_updates(run))
    mine = ((epoch, share(batch, run.world)) for epoch, update in read for batch in update)
    with closing(step.ahead(run.config, inputs, mine)) as drawn:
        for epoch, update in updates:
            stepped = yield from _update(run, inputs, learner, update, drawn)
            if stepped is None:
                return
            run.step, run.epoch = stepped.step, epoch
            yield stepped
            if run.step == run.length.total:
                return
            yield from _between(run, learner)
            if run.controls.stopping:
                return


def _updates(run: Run) -> Iterator[tuple[int, list[Batch]]]:
    """Yields epoch and micro-batches of every update from the one after `run.step` on."""
    per_update, per_epoch = run.config.gradient_accumulation, run.length.updates_per_epoch
    first = run.step % per_epoch * per_update
    for epoch in range(run.step // per_epoch + 1, run.length.epochs + 1):
        batches = run.plan.batches(epoch)
        for start in range(first, len(batches), per_update):
            yield epoch, [batches[index] for index in range(start, min(start + per_update, len(batches)))]
        first = 0


def _update(
    run: Run, inputs: step.Inputs, learner: Learner, batches: Sequence[Batch], ahead: Iterator[step.Drawn | None]
) -> Generator[Event, None, Stepped | None]:
    """Does one update; returns its event, or None when the person stopped while the model was away.

    Every sample weighs the same, also in a short last batch and in a short remainder at the end of an epoch. `ahead`
    has this process's share of every batch.
    """
    run.progress.begin_update()
    samples = sum(len(batch.samples) for batch in batches)
    rates = learner.set_rates(run.step)
    loss: torch.Tensor | float = 0.0
    timesteps = 0
    for number in range(1, len(batches) + 1):
        drawn = next(ahead)
        finish = partial(_finish, run, learner, rates) if number == len(batches) else None
        dropping = seeds.torch_generator(run.config.seed, "dropout", run.step + 1, number, run.world.rank)
        turn = partial(_turn, run, inputs, learner, drawn, dropping, samples, loss, finish)
        done = yield from patiently(run.controls, run.step, turn)
        if done is None:
            learner.forget()
            return None
        loss = done
        timesteps += int(drawn.timesteps.sum()) if drawn else 0
    return run.progress.stepped(float(loss), rates, sum(run.world.gather(timesteps)) / samples)


def _turn(
    run: Run, inputs: step.Inputs, learner: Learner, drawn: step.Drawn | None, dropping: torch.Generator,
    samples: int, before: torch.Tensor | float, finish: Callable[[float], float] | None,
) -> torch.Tensor | float:
    """Takes one turn: forward and backward of one micro-batch, and in the last one of an update the update.

    Args:
        drawn: this process's share of the batch, None where that is nothing.
        dropping: where the adapters' dropout masks are drawn from.
        samples: of the whole update, in all processes.
        before: loss of its micro-batches before this one.
        finish: checks the update's loss, applies its gradient, returns the loss of all processes.

    Returns:
        Loss of the update so far, on the device.
    """
    with run.turn() as model:
        total = before
        if drawn:
            run.network.begin_turn(dropping)
            with model.checkpointing() if run.config.gradient_checkpointing else nullcontext():
                loss = step.losses(run.config, inputs, model, drawn).weighted.sum() / samples
                learner.backward(loss)
            total = loss.detach() + before
        return finish(float(total)) if finish else total


def _finish(run: Run, learner: Learner, rates: dict[str, float], loss: float) -> float:
    """Applies the gathered gradient of all processes; returns their loss.

    Raises:
        UserError: the loss is no number.
    """
    value = sum(run.world.gather(loss))
    if not math.isfinite(value):
        raise UserError(_no_number(run, value, rates))
    run.world.sum_gradients(learner.parameters)
    learner.update()
    return value


def _between(run: Run, learner: Learner) -> Iterator[Event]:
    """What happens between two updates: files, previews, a pause (in which files and previews can be asked for).

    The state comes after all that belongs to the update, so a run that goes on from it does none of it again.
    """
    with learner.evaluating():
        for name in saving.due(run):
            yield from saving.save(run, name)
        if previews.due(run):
            yield from previews.draw(run)
        yield from _wishes(run)
    if states.due(run) or (run.controls.paused and states.switched_on(run.config)):
        yield from states.save(run)
    if not run.controls.paused:
        return
    yield Paused(run.step, "Paused. Press Continue to go on.")
    while run.controls.paused:
        run.controls.wait(1.0)
        with learner.evaluating():
            yield from _wishes(run)
    yield Continued(run.step)


def _wishes(run: Run) -> Iterator[Event]:
    """Serves "save now" and "sample now"."""
    if run.controls.take_save() and saving.step_name(run) not in run.saved:
        yield from saving.save(run, saving.step_name(run))
    if run.controls.take_sample():
        yield from previews.draw(run)


def _no_number(run: Run, value: float, rates: dict[str, float]) -> str:
    """Returns why the loss may have become NaN or infinite."""
    shown = ", ".join(f"{part} {rate:g}" for part, rate in rates.items())
    half = " fp16 overflows easily: choose bf16 or fp32." if run.precision == "fp16" else ""
    return (f"The loss became {value} at step {run.step + 1}: the learning rate ({shown}) is probably too high; "
            f"start again with a tenth of it.{half}")
