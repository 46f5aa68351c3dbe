"""Is it a slider? What a LoRA does to the eyes of the demo's characters from strength -1 to +1, and what it leaves.

For the methods that learn a difference (ADDifT, copiers, LECO): the detector of the drawn world counts closed eyes
among pictures of the same seeds at every strength. A slider closes more eyes at every step, and hair and background
stay what the caption asks. The captions say nothing of the eyes; in two more rows they ask for the opposite of what the
LoRA does at that end, which is the harder question.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lib_trainer import seeds
from lib_trainer.bench.teach import DATASET, DRAWING, train
from lib_trainer.demo import detector, scenes
from lib_trainer.training.goals import GOALS
from lib_trainer.txt2img_host import GenerateRequest, Txt2ImgHost

if TYPE_CHECKING:
    from lib_trainer.jobs import Jobs
    from lib_trainer.training.config import TrainConfig

Report = Callable[[str], None]

PAIRS = DATASET / "pairs"
"""The pairs of the sample dataset: the same scenes with open and with closed eyes."""

STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
KEPT = ("hair", "background")
"""What must stay as the caption asks."""


@dataclass(frozen=True)
class Promises:
    """What the measurement must show; shares of pictures in [0, 1]."""

    closed: float = 0.80
    opened: float = 0.80
    kept: float = 0.90


@dataclass(frozen=True)
class Slid:
    """What was measured.

    Attributes:
        seconds: wall time of the training; 0 = there was none.
        strengths: at which pictures were drawn, rising.
        closed: share of closed eyes at each, where the caption says nothing of them.
        kept: by attribute, the share of pictures with what the caption asks, at each strength.
        against_open: share of closed eyes at the greatest strength though the caption asks for open ones.
        against_closed: share of closed eyes at the least strength though the caption asks for closed ones.
        pictures: drawn per strength.
    """

    seconds: float
    strengths: Sequence[float]
    closed: list[float]
    kept: dict[str, list[float]]
    against_open: float
    against_closed: float
    pictures: int

    @property
    def is_monotonic(self) -> bool:
        """Whether every step up closes as many eyes or more, and the whole way more."""
        return self.closed == sorted(self.closed) and self.closed[-1] > self.closed[0]

    def broken(self, promises: Promises) -> list[str]:
        """Returns one sentence per promise that the figures do not keep."""
        told = [] if self.is_monotonic else [
            f"the share of closed eyes does not rise with the strength: {self.closed} at {list(self.strengths)}"]
        rows = [("closed eyes at the greatest strength", self.closed[-1], promises.closed),
                ("open eyes at the least strength", 1.0 - self.closed[0], promises.opened),
                *((f"{name} stays what the caption asks", min(shares), promises.kept)
                  for name, shares in self.kept.items())]
        return told + [f"{what}: {value:.3g}, promised at least {bound:g}" for what, value, bound in rows
                       if value < bound]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return {**asdict(self), "is_monotonic": self.is_monotonic}


def slider(host: Txt2ImgHost, jobs: Jobs, report: Report, pictures: int = 50, **changes: Any) -> Slid:
    """Trains on the demo's pairs by ADDifT, or as the changes say, and measures.

    Args:
        host: a host with the demo checkpoint loaded. jobs: its jobs.
        report: told what is being done, a line at a time.
        pictures: how many are drawn at each strength.
        changes: settings that differ from the goal "demo_slider".

    Raises:
        UserError: the training failed.
    """
    config = demo_config("bench-slider", **changes)
    report(f"training {config.name}: {config.method}, {config.steps} steps, rank {config.rank}")
    seconds = train(jobs, config)
    report(f"trained in {seconds:.1f} s")
    return replace(measure(host, config.name, pictures, report=report), seconds=seconds)


def demo_config(name: str, goal: str = "demo_slider", **changes: Any) -> TrainConfig:
    """Returns the settings of a goal for the demo's pairs."""
    from lib_trainer.training.config import TrainConfig

    of_goal = {**GOALS[goal].changes, "slider_strengths": ""}  # the bench draws and counts pictures of its own
    return TrainConfig(**{"name": name, "images": str(PAIRS), **of_goal, **changes})


def measure(
    host: Txt2ImgHost, name: str, pictures: int = 50, strengths: Sequence[float] = STRENGTHS,
    report: Report = lambda line: None,
) -> Slid:
    """Draws with a LoRA at every strength and reads the eyes; the same scenes and seeds everywhere.

    Args:
        host: a host with the demo checkpoint loaded.
        name: of the LoRA, which closes eyes at positive strengths.
        pictures: how many at each strength. strengths: rising.
        report: told about every strength.
    """
    wanted = _scenes(pictures)
    closed: list[float] = []
    kept: dict[str, list[float]] = {attribute: [] for attribute in KEPT}
    for strength in strengths:
        read = _drawn(host, [scenes.caption_without("eyes", scene) for scene in wanted], name, strength)
        closed.append(_closed(read))
        for attribute, shares in kept.items():
            shares.append(_share([row[attribute] == getattr(scene, attribute)
                                  for scene, row in zip(wanted, read, strict=True)]))
        report(f"strength {strength:g}: {closed[-1]:.2f} closed")
    opened, shut = ([scenes.caption(replace(scene, eyes=eyes)) for scene in wanted] for eyes in ("open", "closed"))
    return Slid(
        0.0, list(strengths), closed, kept, pictures=pictures,
        against_open=_closed(_drawn(host, opened, name, strengths[-1])),
        against_closed=_closed(_drawn(host, shut, name, strengths[0])))


def _scenes(count: int) -> list[scenes.Scene]:
    """Draws scenes, none with both the hair and the background of a scene that is trained on."""
    import numpy as np

    trained = [file.read_text("utf8").strip().split(", ") for file in sorted(PAIRS.glob("*.txt"))]
    rng = np.random.default_rng(seeds.derive(7, "slider scenes") % 2**32)
    found: list[scenes.Scene] = []
    while len(found) < count:
        scene = scenes.Scene.random(rng)
        look = {scenes.TAGS[name, getattr(scene, name)] for name in KEPT}
        found += [] if any(look <= set(tags) for tags in trained) else [scene]
    return found


def _drawn(
    host: Txt2ImgHost, captions: Sequence[str], name: str, strength: float
) -> list[dict[str, str]]:
    """Returns what the detector reads in one picture per caption; number i has seed 1000 + i."""
    tag = f" <lora:{name}:{strength:g}>" if strength else ""
    return detector.detect([
        host.generate(GenerateRequest(prompt=caption + tag, seed=1000 + number, **DRAWING))[0].image
        for number, caption in enumerate(captions)])


def _closed(read: Sequence[dict[str, str]]) -> float:
    return _share([row["eyes"] == "closed" for row in read])


def _share(claims: Sequence[bool]) -> float:
    return sum(claims) / len(claims)
