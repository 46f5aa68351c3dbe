"""The end of a run: the result with its card, a state where one is wished for, and what to write in a prompt."""
from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.lora import card
from lib_trainer.training import previews
from lib_trainer.training.checks.files import SUFFIX, output_folder
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import BrokenOff, Event, Finished, StateSaved, Warned
from lib_trainer.training.learning.learner import Learner
from lib_trainer.training.outputs import record, saving
from lib_trainer.training.resume import states
from lib_trainer.training.run import Run
from lib_trainer.training.strengths import asked, drawing
from lib_trainer.training.strengths.events import StrengthsDrawn, StrengthsSheet


def finish(run: Run, learner: Learner, began: float) -> Iterator[Event]:
    """Saves the result, unless the person threw it away or nothing was learned.

    The state comes first: a run that is killed before its file is whole goes on from there and writes the file.

    Args:
        run: the run, which has ended or was stopped.
        learner: what has learned.
        began: when, in monotonic seconds.
    """
    stopped = bool(run.controls.stopping)
    if run.controls.stopping == "discard" or run.step == 0:
        run.record.close(run.folder)
        yield nothing(run.config, began, stopped, run.step)
        return
    if run.config.state_at_end or (stopped and states.switched_on(run.config)):
        yield from states.save(run)
    draws = asked.wanted(run.config) and not stopped and run.world.is_main
    if draws:  # one to go on from while the result is drawn
        yield from (event for event in states.save(run, prune=False) if not isinstance(event, StateSaved))
    with learner.evaluating():
        yield from saving.save(run, run.config.name, final=True)
        if run.step == run.length.total and previews.due(run):
            yield from previews.draw(run)
    path: Path = output_folder(run.config, run.host) / f"{run.config.name}{SUFFIX}"
    if draws:
        stopped = yield from _shown(run, path)
    if run.controls.stopping == "discard" and run.world.is_main:
        states.remove(run)
        run.record.close(run.folder)
        yield from saving.throw_away(run.record, path, run.step)
        yield nothing(run.config, began, True, run.step)
        return
    if run.world.is_main:
        if run.is_result:
            yield from _card(run, path)
        if not stopped:
            run.record.close(run.folder)
    yield Finished(
        step=run.step, file=str(path), name=run.config.name, tag=record.prompt_tag(run.config.name),
        trigger=record.trigger_words(run.config, run.items), stopped=stopped, seconds=time.monotonic() - began,
    )


def _shown(run: Run, path: Path) -> Generator[Event, None, bool]:
    """Draws the result; returns whether the person stopped before all was drawn, or threw it away.

    The state from which a stopped run goes on drawing is of no use when all is drawn.
    """
    result = drawing.Result(run.config, run.host, run.controls, run.lease, run.folder, path, run.step)
    is_whole = False
    for event in drawing.draw(result, run.plan.pictures):
        if isinstance(event, StrengthsDrawn) and run.preview is None:
            run.preview = drawing.strongest(event)
        is_whole = is_whole or isinstance(event, StrengthsSheet)
        yield event
    if run.controls.stopping == "save" and not is_whole:
        yield BrokenOff(drawing.broken_off(run.config.name))
        return True
    if not run.config.state_at_end:
        states.remove(run)
    return run.controls.stopping == "discard"


def _card(run: Run, path: Path) -> Iterator[Event]:
    try:
        card.write(path, record.card(run), run.preview)
    except UserError as fault:
        yield Warned(f"The LoRA is saved, but not all of its card in the WebUI's list could be made: {fault}")


def nothing(config: TrainConfig, began: float, stopped: bool, step: int = 0) -> Finished:
    """Returns the end of a run that leaves no file."""
    return Finished(
        step=step, file="", name=config.name, tag="", trigger="", stopped=stopped, seconds=time.monotonic() - began
    )
