"""The training loop: epochs, updates, micro-batches; between two turns saves, previews, pause and stop.

Each micro-batch takes one turn on the host's model: forward and backward, and in an update's last one the update, so
that a generation between two turns never sees adapters that are half updated. What an update draws and does follows
from its number and the run's state alone, so a run may begin at any update.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import tee

import torch

from lib_trainer import seeds
from lib_trainer.data.sample import Batch
from lib_trainer.errors import UserError
from lib_trainer.host_model import HostModel
from lib_trainer.training import previews, step
from lib_trainer.training.events import Continued, Event, LossBands, Paused, Stepped, Warned
from lib_trainer.training.learning.learner import Learner
from lib_trainer.training.micro_batch import Drawn, Inputs
from lib_trainer.training.outputs import saving
from lib_trainer.training.resume import states
from lib_trainer.training.run import Run, patiently
from lib_trainer.training.statistics import diagnosis, losses_file, validation
from lib_trainer.training.statistics.diagnosis import Failure
from lib_trainer.training.statistics.told import Told
from lib_trainer.training.statistics.watch import SCALE_EVERY, Seen
from lib_trainer.training.statistics.watch import due as statistics_are_due
from lib_trainer.training.world import share


def train(run: Run, inputs: Inputs, learner: Learner) -> Iterator[Event]:
    """Trains from the update after `run.step` to the end of the run or until the person stops it.

    Raises:
        UserError: the loss is no number any more, or a file cannot be written and the person gives up.
    """
    if run.step >= run.length.total:
        return
    # What a run that was stopped did not wait for is done when it goes on.
    if run.held_out.batches and (run.step == 0 or run.held_out.due(run.step, run.epoch, run.epoch_ended)):
        with learner.evaluating():
            yield from validation.measure(run, inputs)
    if previews.owed(run):
        with learner.evaluating():
            yield from previews.draw(run)
    updates, read = tee(_updates(run))
    mine = ((epoch, share(batch, run.world)) for epoch, update in read for batch in update)
    with closing(step.ahead(run.config, inputs, mine)) as drawn:
        for epoch, update in updates:
            if run.step == run.length.total or run.controls.stopping or run.is_over:
                break
            stepped = yield from _update(run, inputs, learner, update, drawn)
            if stepped is None:
                break
            run.step, run.epoch = stepped.step, epoch
            yield stepped
            yield from _between(run, inputs, learner)
    if run.step and not statistics_are_due(run.step, run.length.total):
        yield from _tell_losses(run)


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
    run: Run, inputs: Inputs, learner: Learner, batches: Sequence[Batch], ahead: Iterator[Drawn | None]
) -> Generator[Event, None, Stepped | None]:
    """Does one update; returns its event, or None when the person stopped while the model was away.

    Every sample weighs the same, also in a short last batch and in a short remainder at the end of an epoch. `ahead`
    has this process's share of every batch.
    """
    run.progress.begin_update()
    samples = sum(len(batch.samples) for batch in batches)
    rates = learner.set_rates(run.step)
    told, done = Told(), None
    for number in range(1, len(batches) + 1):
        finish = partial(_finish, run, inputs, learner, rates, told, samples) if number == len(batches) else None
        dropping = seeds.torch_generator(run.config.seed, "dropout", run.step + 1, number, run.world.rank)
        turn = partial(_turn, run, inputs, learner, next(ahead), dropping, samples, told, finish)
        done = yield from patiently(run.controls, run.step, turn)
        if done is None:
            learner.forget()
            return None
    if done is None:
        raise RuntimeError("An update has no batch.")
    yield from (Warned(sentence) for sentence in _notable(run, learner, done) if sentence)
    timestep = sum(sum(seen.timesteps) for seen in done.seen) / samples
    return replace(run.progress.stepped(done.loss, rates, timestep), norms=learner.told_norms)


def _notable(run: Run, learner: Learner, done: _Done) -> Iterator[str]:
    """Takes an update into the statistics; yields what stands out."""
    for seen in done.seen:
        yield run.watch.see(seen)
    if (run.step + 1) % SCALE_EVERY == 0 and (scale := learner.loss_scale) is not None:
        yield run.watch.see_scale(scale)


@dataclass(frozen=True)
class _Done:
    """An update that was made: its loss, and the samples that each process has seen."""

    loss: float = 0.0
    seen: Sequence[Seen] = ()


def _turn(
    run: Run, inputs: Inputs, learner: Learner, drawn: Drawn | None, dropping: torch.Generator,
    samples: int, told: Told, finish: Callable[[HostModel], _Done] | None,
) -> _Done:
    """Takes one turn: forward and backward of one micro-batch, and in the last one of an update the update.

    Args:
        drawn: this process's share of the batch, None where that is nothing.
        dropping: where the adapters' dropout masks are drawn from.
        samples: of the whole update, in all processes.
        told: what its micro-batches have told so far; this one's is added.
        finish: checks the update's loss and applies its gradient.
    """
    with run.turn() as model:
        if drawn:
            run.network.begin_turn(dropping)
            with model.checkpointing() if run.config.gradient_checkpointing else nullcontext():
                losses = inputs.objective.losses(run.config, inputs, model, drawn)
                learner.backward(losses.weighted.sum() / samples)
            told.add(drawn, losses)
        return finish(model) if finish else _Done()


def _finish(
    run: Run, inputs: Inputs, learner: Learner, rates: Mapping[str, float], told: Told, samples: int,
    model: HostModel,
) -> _Done:
    """Applies the gathered gradient of all processes.

    Raises:
        UserError: the loss is no number.
    """
    report = told.read()
    # Asked of all before anything is raised: a process that waits for one that has ended would wait for ever.
    shares = run.world.gather((sum(report.weighted) / samples, report.seen))
    loss = sum(part for part, _ in shares)
    if not math.isfinite(loss):
        learner.forget()
        raise UserError(diagnosis.explain(run, inputs, model, Failure(told, report, rates)))
    run.world.sum_gradients(learner.parameters)
    learner.update()
    return _Done(loss, [seen for _, seen in shares])


def _between(run: Run, inputs: Inputs, learner: Learner) -> Iterator[Event]:
    """What comes after an update: validation, files, previews, a pause (in which files can be asked for).

    After the last update only what is measured: its file and previews are those of the whole run. The state comes after
    all that belongs to the update, so a run that goes on from it does none of it again.
    """
    run.controls.agree()
    is_last = run.step == run.length.total
    if statistics_are_due(run.step, run.length.total):
        yield from _tell_losses(run)
    with learner.evaluating():
        if run.held_out.due(run.step, run.epoch, run.epoch_ended) or (is_last and run.held_out.batches):
            yield from validation.measure(run, inputs)
        if is_last:
            return
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
        run.controls.agree()
        with learner.evaluating():
            yield from _wishes(run)
    yield Continued(run.step)


def _tell_losses(run: Run) -> Iterator[Event]:
    """Writes the losses by picture into the job's folder and tells those by timestep."""
    bands = run.watch.bands
    if run.world.rank == 0:
        try:
            losses_file.write(run.folder, run.step, bands, run.watch.pictures)
        except UserError as fault:
            yield Warned(f"The losses by picture are not shown: {fault}")
            return
    yield LossBands(run.step, [asdict(band) for band in bands])


def _wishes(run: Run) -> Iterator[Event]:
    """Serves "save now" and "sample now"."""
    if run.controls.take_save() and saving.step_name(run) not in run.saved:
        yield from saving.save(run, saving.step_name(run))
    if run.controls.take_sample():
        yield from previews.draw(run, asked=True)
