"""The loss on pictures that the run has not seen: always the same pictures, noise and timesteps.

So two numbers of one run, or of two runs with the same seed, differ by what was learned and by nothing else. It is the
plain mean square error under plain noise, whatever noise, loss and weights are trained with; captions and crops are as
they are without anything random; the weights are those that a file would get. One turn measures one batch at one
timestep, so a generation waits for one prediction at most.
"""
from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.data.loading import Loaded
from lib_trainer.training import step
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import EndedEarly, Event, Validated
from lib_trainer.training.loss import noise as noises
from lib_trainer.training.micro_batch import Drawn, Inputs
from lib_trainer.training.outputs import saving
from lib_trainer.training.run import Run, patiently
from lib_trainer.training.statistics.held_out import seed_of, timesteps

BEST = "best"
"""The best state's file is NAME-best."""


def measure(run: Run, inputs: Inputs) -> Iterator[Event]:
    """Measures what is held out, saves the best state, and says when early stopping ends the run.

    Call it between two updates while the learner is evaluating. A stop or another checkpoint ends it without a result.
    """
    by_timestep = yield from _measured(run, inputs)
    if not by_timestep:
        return
    held = run.held_out
    loss = sum(by_timestep.values()) / len(by_timestep)
    is_best = held.judge(run.step, loss)
    pictures = sum(len(batch.samples) for batch in held.batches)
    yield Validated(run.step, run.epoch, loss, {str(at): value for at, value in by_timestep.items()}, held.best_loss,
                    held.best_step, pictures)
    if is_best and run.config.early_stopping:
        yield from saving.save(run, f"{run.config.name}-{BEST}")
    if held.is_over:
        yield EndedEarly(run.step, held.best_step, _why(run, loss))


def _measured(run: Run, inputs: Inputs) -> Generator[Event, None, dict[int, float]]:
    """Returns the mean error of every timestep; nothing when the person stopped the run."""
    at = timesteps(run.config)
    sums: list[Tensor] = []
    count = 0
    for batch in run.held_out.batches[run.world.rank :: run.world.size]:
        loaded = inputs.loader.load(batch)
        errors = []
        for timestep in at:
            drawn = _drawn(run.config, loaded, timestep)
            if run.controls.stopping and run.world.size == 1:
                return {}  # several processes measure to the end, since each waits for the others' numbers
            found = yield from patiently(run.controls, run.step, partial(_errors, run, inputs, drawn))
            if found is None:
                return {}
            errors.append(found.sum())
        sums.append(torch.stack(errors))
        count += len(batch.samples)
    mine = torch.stack(sums).sum(dim=0).tolist() if sums else [0.0] * len(at)
    shares = run.world.gather((mine, count))
    total = sum(share[1] for share in shares)
    return {timestep: sum(share[0][index] for share in shares) / total for index, timestep in enumerate(at)}


def _drawn(config: TrainConfig, loaded: Loaded, timestep: int) -> Drawn:
    """Returns a batch with the noise that belongs to its pictures and a timestep."""

    def generators(purpose: str) -> list[torch.Generator]:
        return [seeds.torch_generator(seed_of(config), f"validation {purpose}", timestep, sample.key)
                for sample in loaded.batch.samples]

    shape = step.latent_shape(loaded)
    return Drawn(
        loaded, torch.full((len(loaded.batch.samples),), timestep),
        posterior=noises.normal(shape, generators("posterior")), noise=noises.plain(shape, generators),
    )


def _errors(run: Run, inputs: Inputs, drawn: Drawn) -> Tensor:
    with run.turn() as model:
        run.network.begin_turn(None)
        return step.errors(run.config, inputs, model, drawn)


def _why(run: Run, loss: float) -> str:
    held, name = run.held_out, run.config.name
    times = "once" if held.misses == 1 else f"{held.misses} times in a row"
    return (f"The validation loss has not fallen {times} ({loss:.4g} now, {held.best_loss:.4g} at step "
            f"{held.best_step}), so the training ends early at step {run.step}. {name}-{BEST} holds the best state, "
            f"{name} the one of the last step.")
