"""Does the difference of two copiers do one thing only? The demo's pairs, judged by the detector of the drawn world.

The pairs show the same figures with open and with closed eyes. The difference of two copiers is trained on them as the
page would train it (the goal "demo_copiers"), and measured as every slider is (`bench.slider`): closed eyes at strength
1, open ones at -1, hair and background as the prompt asks, in prompts and seeds that nothing was trained with.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lib_trainer.bench import slider
from lib_trainer.bench.slider import Slid
from lib_trainer.bench.teach import events_of
from lib_trainer.txt2img_host import Txt2ImgHost

if TYPE_CHECKING:
    from lib_trainer.jobs import Jobs
    from lib_trainer.training.config import TrainConfig

Report = Callable[[str], None]

STRENGTHS = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class Copier:
    """How a copier ended: `score` = its last copy score, 0 = as the model draws, 1 = the pictures; `steps` it took."""

    score: float
    steps: int


@dataclass(frozen=True)
class Measured:
    """What was measured: `slid` = eyes, hair and background by strength; the `copiers` before and after."""

    slid: Slid
    copiers: list[Copier]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return {**self.slid.to_json(), "copiers": [asdict(copier) for copier in self.copiers]}


def measure(host: Txt2ImgHost, jobs: Jobs, report: Report, pictures: int = 50, **changes: Any) -> Measured:
    """Trains the difference, draws and judges.

    Args:
        host: a host with the demo checkpoint loaded. jobs: its jobs.
        report: told what is being done, a line at a time.
        pictures: how many are drawn at each strength.
        changes: settings that differ from the goal "demo_copiers".

    Raises:
        UserError: the training failed.
    """
    settings = config("bench-copiers", **changes)
    report(f"training {settings.name}: two copiers, rank {settings.rank}, {settings.optimizer} "
           f"{settings.learning_rate}")
    begin = time.perf_counter()
    copiers = train(jobs, settings)
    seconds = time.perf_counter() - begin
    ends = ", ".join(f"{copier.steps} steps to a copy score of {copier.score:g}" for copier in copiers)
    report(f"trained in {seconds:.0f} s: {ends}")
    slid = slider.measure(host, settings.name, pictures, STRENGTHS, report)
    return Measured(replace(slid, seconds=seconds), copiers)


def config(name: str, **changes: Any) -> TrainConfig:
    """Returns the settings of the goal "demo_copiers" for the pairs of the sample dataset."""
    return slider.demo_config(name, "demo_copiers", **changes)


def train(jobs: Jobs, settings: TrainConfig) -> list[Copier]:
    """Trains; returns how every copier ended.

    Raises:
        UserError: the training failed.
    """
    return ends_of(events_of(jobs, settings))


def ends_of(events: Sequence[Mapping[str, Any]]) -> list[Copier]:
    """Returns how every part with copy scores ended, in the order of the parts."""
    scores: dict[int, float] = {}
    steps: dict[int, int] = {}
    part = 0
    for event in events:
        part += event["kind"] == "PhaseStarted"
        if event["kind"] == "Stepped":
            steps[part] = event["step"]
        if event["kind"] == "CopyScored":
            scores[part] = round(event["score"], 3)
    return [Copier(score, steps[part]) for part, score in scores.items()]
