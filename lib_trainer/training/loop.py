"""The training loop: epochs, updates, micro-batches; between two turns saves, previews, pause and stop.

Each micro-batch takes one turn on the host's model: forward and backward, and in an update's last one the update, so
that a generation between two turns never sees adapters that are half updated.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import torch

from lib_trainer.data.dataset import Batch
from lib_trainer.errors import UserError
from lib_trainer.training import previews, saving, step
from lib_trainer.training.events import Continued, Event, Paused, Stepped
from lib_trainer.training.learner import Learner
from lib_trainer.training.progress import Progress
from lib_trainer.training.run import Run, patiently


def train(run: Run, inputs: step.Inputs, learner: Learner) -> Iterator[Event]:
    """Trains to the end of the run or until the person stops it.

    Raises:
        UserError: the loss is no number any more, or a file cannot be written and the person gives up.
    """
    progress = Progress(run.length)
    per_update = run.config.gradient_accumulation
    for epoch in range(1, run.length.epochs + 1):
        batches = run.plan.batches(epoch)
        for first in range(0, len(batches), per_update):
            update = [batches[index] for index in range(first, min(first + per_update, len(batches)))]
            stepped = yield from _update(run, inputs, learner, progress, epoch, update)
            if stepped is None:
                return
            run.step, run.epoch = stepped.step, epoch
            yield stepped
            if run.step == run.length.total:
                return
            yield from _between(run)
            if run.controls.stopping:
                return


def _update(
    run: Run, inputs: step.Inputs, learner: Learner, progress: Progress, epoch: int, batches: Sequence[Batch]
) -> Generator[Event, None, Stepped | None]:
    """Does one update; returns its event, or None when the person stopped while the model was away.

    Every sample weighs the same, also in a short last batch and in a short remainder at the end of an epoch.
    """
    progress.begin_update()
    samples = sum(len(batch.samples) for batch in batches)
    rates = learner.set_rates(run.step)
    loss: torch.Tensor | float = 0.0
    timesteps = 0
    for left, batch in zip(reversed(range(len(batches))), batches, strict=True):
        drawn = step.draw(run.config, inputs, batch, epoch)
        finish = partial(_finish, run, learner, rates) if left == 0 else None
        turn = partial(_turn, run, inputs, learner, drawn, samples, loss, finish)
        done = yield from patiently(run.controls, run.step, turn)
        if done is None:
            learner.forget()
            return None
        loss = done
        timesteps += int(drawn.timesteps.sum())
    return progress.stepped(float(loss), rates, timesteps / samples)


def _turn(
    run: Run, inputs: step.Inputs, learner: Learner, drawn: step.Drawn, samples: int, before: torch.Tensor | float,
    finish: Callable[[torch.Tensor], None] | None,
) -> torch.Tensor:
    """Takes one turn: forward and backward of one micro-batch, and in the last one of an update the update.

    Args:
        samples: of the whole update.
        before: loss of its micro-batches before this one.
        finish: checks the update's loss and applies its gradient.

    Returns:
        Loss of the update so far, on the device.
    """
    with run.turn() as model:
        with model.checkpointing() if run.config.gradient_checkpointing else nullcontext():
            loss = step.losses(run.config, inputs, model, drawn).sum() / samples
            learner.backward(loss)
        total = loss.detach() + before
        if finish:
            finish(total)
        return total


def _finish(run: Run, learner: Learner, rates: dict[str, float], loss: torch.Tensor) -> None:
    """Applies the gathered gradient.

    Raises:
        UserError: the loss is no number.
    """
    value = float(loss.item())
    if not math.isfinite(value):
        raise UserError(_no_number(run, value, rates))
    learner.update()


def _between(run: Run) -> Iterator[Event]:
    """What happens between two updates: files, previews, a pause (in which files and previews can be asked for)."""
    for name in saving.due(run):
        yield from saving.save(run, name)
    if previews.due(run):
        yield from previews.draw(run)
    yield from _wishes(run)
    if not run.controls.paused:
        return
    yield Paused(run.step, "Paused. Press Continue to go on.")
    while run.controls.paused:
        run.controls.wait(1.0)
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
