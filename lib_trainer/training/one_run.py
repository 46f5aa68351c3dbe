"""One run: the adapters of one LoRA, from the lease of the model to the finished file, as one stream of events.

`run` is a generator; errors come out of it as exceptions, after the lease on the host's model was closed.
"""
from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext

import torch

from lib_trainer.data.dataset import Dataset
from lib_trainer.data.holdout import hold_out
from lib_trainer.data.scanning.pairs import sides
from lib_trainer.errors import UserError
from lib_trainer.host import Host, Lease
from lib_trainer.training import caching, loop, outset, wishes
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event, Started, Warned
from lib_trainer.training.learning import optimizers
from lib_trainer.training.learning.evaluation import LiveView
from lib_trainer.training.learning.learner import Learner
from lib_trainer.training.methods import objectives, prompt_limits
from lib_trainer.training.micro_batch import Inputs
from lib_trainer.training.outputs import job_folder, result, room
from lib_trainer.training.outputs.base_hash import BaseHash
from lib_trainer.training.progress import Length, Progress
from lib_trainer.training.resume import run_record, states
from lib_trainer.training.resume.stateful import AdapterState
from lib_trainer.training.run import Judge, Run, patiently
from lib_trainer.training.statistics.held_out import HeldOut, seed_of
from lib_trainer.training.statistics.watch import Watch
from lib_trainer.training.world import ALONE, World

_TOLD = 50
"""Warnings before the start that are told one by one."""

_PRECISIONS = {torch.float32: "no", torch.float16: "fp16", torch.bfloat16: "bf16"}


def run(
    config: TrainConfig, host: Host, controls: Controls, findings: Findings, world: World = ALONE
) -> Iterator[Event]:
    """Trains the adapters of one LoRA.

    Args:
        config: the settings.
        host: what has the model.
        controls: stop, pause, save now, sample now.
        findings: of `check.check` for these settings.
        world: the processes that train together.

    Raises:
        UserError: something went wrong that the person can mend.
    """
    yield from told(findings.warnings)
    with host.borrow_model(findings.base, wishes.keeping(config)) as lease:
        yield from on(lease, config, host, controls, findings, world)


def on(
    lease: Lease, config: TrainConfig, host: Host, controls: Controls, findings: Findings, world: World = ALONE,
    judge: Judge | None = None, is_result: bool = True,
) -> Iterator[Event]:
    """Trains the adapters of one LoRA on a model that is lent already; see `run`.

    Args:
        lease: on the model of the findings, kept as the settings want it.
        config, host, controls, findings, world: as `run`; the warnings of the findings are not told again.
        judge: looks at what the run tells, and may end it.
        is_result: whether its LoRA is what the person wants, and gets a card in the WebUI's list.

    Raises:
        UserError: something went wrong that the person can mend.
    """
    began = time.monotonic()
    with _out_of_memory():
        datasets = yield from _verified(findings, controls, host, world)
        made = yield from patiently(controls, 0, lambda: _adapters(config, host, lease))
        if made is None or controls.stopping:
            yield result.nothing(config, began, stopped=True)
            return
        if made.unmatched:
            yield Warned(f"{len(made.unmatched)} tensors of {config.continue_from!r} have no layer in this model and "
                         f"are left out, such as {made.unmatched[0]}.")
        yield from told(made.told)
        state, learner = _set_out(config, host, controls, lease, findings, datasets, made, world)
        state.is_result = is_result
        if judge is not None:
            state.judge, state.stateful["judge"] = judge, judge
        alone = run_record.held(state.folder) if world.is_main else nullcontext()
        with alone, host.live(LiveView(state.network, learner.evaluating)):
            if findings.found and findings.found.state:
                yield from states.restore(state, findings.found.state)
            yield _started(state)
            inputs = yield from _inputs(state, learner, made.autocast)
            controls.agree()
            if not controls.stopping:
                yield from _judged(state, loop.train(state, inputs, learner))
            yield from _judged(state, result.finish(state, learner, began))


def _judged(state: Run, events: Iterator[Event]) -> Iterator[Event]:
    """Passes events on; whoever judges the run sees each of them before what comes after it."""
    for event in events:
        yield event
        if state.judge is not None:
            yield from state.judge.see(state, event)


@contextmanager
def _out_of_memory() -> Iterator[None]:
    """Turns the card's memory running out into a sentence."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            "The graphics card's memory ran out: switch gradient checkpointing on, lower the batch size or the "
            f"resolution, or train fewer blocks. ({str(error).splitlines()[0]})"
        ) from error


def told(warnings: Iterable[str]) -> Iterator[Event]:
    """Tells what the person should know before the start: each sentence once, and of very many the first ones."""
    sentences = list(dict.fromkeys(warnings))
    yield from (Warned(sentence) for sentence in sentences[:_TOLD])
    if len(sentences) > _TOLD:
        yield Warned(f"... and {len(sentences) - _TOLD} more of this kind.")


def _verified(
    findings: Findings, controls: Controls, host: Host, world: World
) -> Generator[Event, None, list[Dataset]]:
    """Decodes every picture once, in one process; returns the data sets without the broken ones.

    Raises:
        UserError: no training picture of a data set is whole.
    """
    found = (yield from caching.verified(sides(findings.items), controls, host.paths)) if world.is_main else []
    broken = world.gather(found)[0]
    gone = {skip.path for skip in broken}
    whole = [dataset.without(gone) for dataset in findings.datasets]
    for dataset, before in zip(whole, findings.datasets, strict=True):
        if all(item.is_reg for item in dataset.items):
            first = next(skip for skip in broken if any(item.path == skip.path for item in before.items))
            raise UserError(f"None of the {len(before.items)} pictures can be read: {first.path} {first.reason}.")
    return whole


def _adapters(config: TrainConfig, host: Host, lease: Lease) -> outset.Adapters:
    with lease.turn() as model:
        return outset.adapters(config, host, model)


def _set_out(
    config: TrainConfig, host: Host, controls: Controls, lease: Lease, findings: Findings,
    datasets: list[Dataset], made: outset.Adapters, world: World,
) -> tuple[Run, Learner]:
    """Settles everything else that the first step needs."""
    items = [item for dataset in datasets for item in dataset.items]
    datasets, held = hold_out(datasets, seed_of(config))
    plan = outset.plan(config, datasets)
    length = Length.of(plan.batches_per_epoch, config)
    learner = Learner(
        config, made.network, made.trained, length.total, made.device, fp16=_is_scaled(config, made),
        arch=made.checkpoint.family.arch,
    )
    if findings.found:
        states.check_same(findings.found, made.checkpoint, items, plan, length)
    room.check(room.needs(config, host, made.network, length, findings.found))
    folder, written = job_folder.prepare(config, host, findings, world)
    state = Run(
        config=config, host=host, controls=controls, lease=lease, checkpoint=made.checkpoint,
        items=items, plan=plan, length=length,
        resolution=(datasets[0].buckets.width, datasets[0].buckets.height), network=made.network,
        folder=folder, record=written, device=made.device,
        base_hash=BaseHash(
            made.checkpoint.path if world.is_main else None, host.paths.cache, ahead=made.device.type != "cpu"),
        world=world,
        optimizer=optimizers.describe(config.optimizer, config.optimizer_args), precision=_PRECISIONS[made.computes],
        progress=Progress(length), watch=Watch(picture.item for picture in plan.pictures),
        held_out=HeldOut(config, held), beneath=made.beneath,
    )
    state.stateful |= {"network": AdapterState(made.network, learner.trained), "progress": state.progress,
                       "watch": state.watch, "held_out": state.held_out, **learner.stateful}
    return state, learner


def _is_scaled(config: TrainConfig, made: outset.Adapters) -> bool:
    """Whether the loss is scaled up against gradients that fp16 rounds to 0; fp16 adapters cannot be scaled back."""
    return made.computes == torch.float16 and config.adapter_precision != "fp16"


def _started(state: Run) -> Started:
    return Started(
        name=state.config.name, model=state.checkpoint.name, total_steps=state.length.total,
        epochs=state.length.epochs, images=0 if state.prompts else state.plan.images, reg_images=state.plan.reg_images,
        batches_per_epoch=state.plan.batches_per_epoch, layers=len(state.network.layers),
        parameters=sum(factor.numel() for layer in state.network.layers.values() for factor in layer.parameters()),
        folder=str(state.folder), config=state.config.to_dict(),
        step=state.step, prompts=len(state.prompts), pairs=len(state.plan.partners),
    )


def _too_long(state: Run) -> list[str]:
    with state.turn() as model, state.network.silent():
        concepts = [item.subset.concept for item in state.items if item.subset.concept]
        return prompt_limits.told(state.config, model, concepts)


def _inputs(state: Run, learner: Learner, autocast: torch.dtype | None) -> Generator[Event, None, Inputs]:
    captions = sorted({*state.plan.captions, *state.held_out.captions})
    if state.prompts and prompt_limits.may_be_long(state.config, captions):
        yield from told((yield from patiently(state.controls, 0, lambda: _too_long(state))) or [])
    loader = yield from caching.filled(state, captions, learner.text_encoder_learns)
    return Inputs(loader, learner.text_encoder_learns, autocast, objectives.of(state.config.method),
                  state.network.silent, state.network.act_at)
