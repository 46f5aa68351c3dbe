"""A copier that is stopped anywhere, also between two samples, ends where one ends that is not, in the same bits.

The aim of its judge is what the adapters draw after the fourth update, so that its score is 1 then and only then.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.training import check
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.methods import copy_score, phases
from lib_trainer.training.methods.copy_judge import CopyJudge
from lib_trainer.training.methods.copy_score import Aim
from lib_trainer.training.methods.parts import Trains
from lib_trainer.training.run import Judge
from lib_trainer.training.world import ALONE
from tests.conftest import Settings
from tests.training.runs import of, same_tensors, tensors

PROMPTS = ("a square", "a circle")
ENDS_AT = 4
FIRST_LOOK = 15
"""The looks before it come before the first sample, and leave nothing."""


class StopsAtALook(Controls):
    """Stops when the training looks at the buttons for the n-th time: also between two samples."""

    def __init__(self, look: int) -> None:
        super().__init__()
        self.left = look

    @property
    def stopping(self) -> str:
        self.left -= 1
        if self.left == 0:
            self.stop()
        return super().stopping


@pytest.fixture
def small(settings: Settings) -> TrainConfig:
    return settings(
        train_text_encoder=False, blocks="OUT09-OUT11", epochs=2, batch_size=1, save_precision="float",
        unet_lr="3e-2", flip=True, preview_prompts="\n".join(PROMPTS), preview_seed=1, preview_steps=1, preview_cfg=1.0,
        preview_at_first=True, preview_every_steps=1, copier_seeds="1", copier_score=0.999, state_every_minutes=30)


def copier(
    config: TrainConfig, host: StandaloneHost, controls: Controls | None = None,
    judge: Callable[[], Judge] | None = None,
) -> list[ev.Event]:
    """Trains one part as the copiers are trained."""
    findings = check.check(config, host)
    parts = [Trains("copier", "Copier", replace(config, resume=""), findings, judge)]
    return [*phases.run(config, host, controls or Controls(), findings, ALONE, lambda folder: parts)]


def judge_of(config: TrainConfig, drawn: list[ev.Previewed]) -> CopyJudge:
    """Judges by what was drawn after the last update that counts."""
    wanted = next(one for one in drawn if one.step == ENDS_AT)
    return CopyJudge(config, {
        prompt: Aim(prompt, [copy_score.small(Image.open(Path(file)))], [None])
        for prompt, file in zip(wanted.prompts, wanted.files, strict=True)})


def scores(events: list[ev.Event]) -> dict[int, dict[str, float]]:
    return {one.step: one.scores for one in of(ev.CopyScored, events)}


def test_stopped_at_one_look_after_the_other(host: StandaloneHost, small: TrainConfig) -> None:
    drawn = of(ev.Previewed, copier(replace(small, name="plain", preview_at_first=False), host))

    def judge() -> CopyJudge:
        return judge_of(small, drawn)

    whole = copier(replace(small, name="whole"), host, judge=judge)
    (end,) = of(ev.EndedEarly, whole)
    assert end.step == ENDS_AT and [*scores(whole)] == [1, 2, 3, 4]
    events: list[ev.Event] = []
    for look in itertools.count(FIRST_LOOK):
        events += copier(replace(small, resume="auto"), host, StopsAtALook(look), judge)
        last = events[-1]
        if isinstance(last, ev.Finished) and not last.stopped:
            break
    assert any("not all samples" in event.message for event in of(ev.Warned, events))
    assert scores(events) == scores(whole) and max(one.step for one in of(ev.Stepped, events)) == ENDS_AT
    assert same_tensors(tensors(host), tensors(host, "whole"))
