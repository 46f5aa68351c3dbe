"""Does training teach? The sample dataset on the demo checkpoint, judged by the detector of the drawn world.

Two LoRAs are trained with the same settings: one on the sample dataset as it ships, one on a copy in which the
trigger's captions belong to ordinary pictures, and ordinary captions to the concept's. Then four kinds of pictures are
drawn with the same seeds and read by the detector:

- with the trigger and the LoRA: the concept should be there;
- with the trigger and no LoRA: it should not (the checkpoint never saw it);
- with the trigger and the LoRA of the shuffled captions: it should not (the word means nothing there);
- ordinary tags with and without the LoRA: what they ask for should be found as often as before.
"""
from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer import seeds
from lib_trainer.demo import scenes
from lib_trainer.training.events import Failed, Finished
from lib_trainer.training.goals import GOALS
from lib_trainer.txt2img_host import GenerateRequest, Txt2ImgHost

if TYPE_CHECKING:
    from PIL.Image import Image

    from lib_trainer.jobs import Jobs
    from lib_trainer.training.config import TrainConfig

Report = Callable[[str], None]

DATASET = Path(__file__).parents[1] / "assets" / "demo" / "dataset" / "zunko"
"""The sample dataset: `train/` with the concept, `reg/` with ordinary characters."""

KEPT = ("hair", "eyes", "background")
"""The attributes whose score must survive the LoRA: those the checkpoint itself is judged by."""


@dataclass(frozen=True)
class Promises:
    """What the measurement must show; shares of pictures in [0, 1], seconds on two CPU cores."""

    taught: float = 0.80
    untaught: float = 0.05
    shuffled: float = 0.20
    kept: float = 0.85
    seconds: float = 300.0


@dataclass(frozen=True)
class Taught:
    """What was measured.

    Attributes:
        seconds: wall time of the training, Start to Finished.
        taught, untaught, shuffled: share of pictures in which the detector finds the concept; shuffled is None when the
            control training was left out.
        before, after: share of pictures with what ordinary tags ask for, by attribute, without and with the LoRA.
        kept: the smallest ratio after / before.
        asked: with trigger and LoRA, share of pictures with what the other tags ask for.
        pictures: drawn per kind.
    """

    seconds: float
    taught: float
    untaught: float
    shuffled: float | None
    before: dict[str, float]
    after: dict[str, float]
    kept: float
    asked: dict[str, float]
    pictures: int

    def broken(self, promises: Promises) -> list[str]:
        """Returns one sentence per promise that the figures do not keep."""
        rows = [
            ("the concept appears with trigger and LoRA", self.taught, promises.taught, True),
            ("the concept appears without LoRA", self.untaught, promises.untaught, False),
            ("the concept appears with the LoRA of shuffled captions", self.shuffled, promises.shuffled, False),
            ("other tags keep their score", self.kept, promises.kept, True),
            ("training takes seconds", self.seconds, promises.seconds, False),
        ]
        return [
            f"{what}: {value:.3g}, promised {'at least' if floor else 'at most'} {bound:g}"
            for what, value, bound, floor in rows
            if value is not None and (value < bound if floor else value > bound)
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return asdict(self)


def teach(
    host: Txt2ImgHost, jobs: Jobs, report: Report, pictures: int = 50, control: bool = True, **changes: Any
) -> Taught:
    """Trains both LoRAs, draws and judges.

    Args:
        host: a host with the demo checkpoint loaded.
        jobs: its jobs.
        report: told what is being done, a line at a time.
        pictures: how many of each kind are drawn.
        control: whether the LoRA of shuffled captions is trained and judged too.
        changes: settings that differ from the "demo" goal.

    Raises:
        UserError: a training failed.
    """
    config = demo_config("bench-zunko", DATASET, **changes)
    rate = f"{config.optimizer} {config.learning_rate}"
    report(f"training {config.name}: {config.steps} steps, rank {config.rank}, {rate}")
    seconds = train(jobs, config)
    report(f"trained in {seconds:.1f} s")
    if control:
        with tempfile.TemporaryDirectory() as folder:
            shuffled = Path(folder) / "zunko"
            shuffle_captions(DATASET, shuffled, seed=config.seed)
            train(jobs, demo_config("bench-shuffled", shuffled, **changes))
        report("trained with shuffled captions")
    return _judge(host, pictures, seconds, control, report)


def demo_config(name: str, dataset: Path, **changes: Any) -> TrainConfig:
    """Returns the settings of the "demo" goal for a dataset with `train/` and `reg/` folders."""
    from lib_trainer.training.config import TrainConfig

    values: dict[str, Any] = {
        "name": name, "images": str(dataset / "train"), "reg_images": str(dataset / "reg"), **GOALS["demo"].changes,
    }
    return TrainConfig(**{**values, **changes})


def shuffle_captions(source: Path, target: Path, seed: int) -> None:
    """Copies a dataset and shuffles its captions across the two folders: no concept picture keeps a concept's caption.

    A shuffle that may leave captions in their folder is no control: half the pictures of a balanced epoch show the
    concept, so half of the trigger's captions would still describe it.
    """
    shutil.copytree(source, target)
    rng = seeds.python(seed, "shuffled captions")
    files: list[Path] = []
    texts: list[str] = []
    for folder in ("train", "reg"):
        found = sorted((target / folder).rglob("*.txt"))
        captions = [file.read_text(encoding="utf8") for file in found]
        rng.shuffle(captions)
        files.extend(found)
        texts = captions + texts
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf8")


def train(jobs: Jobs, config: TrainConfig) -> float:
    """Trains to the end; returns the seconds that it took.

    Raises:
        UserError: the training failed.
    """
    begin = time.perf_counter()
    events_of(jobs, config)
    return time.perf_counter() - begin


def events_of(jobs: Jobs, config: TrainConfig) -> list[dict[str, Any]]:
    """Trains to the end; returns what the training has told.

    Raises:
        UserError: the training failed.
    """
    from lib_trainer.errors import UserError

    job = jobs.start(config)
    job.wait()
    events = job.events()
    last = events[-1]
    if last["kind"] == Failed.__name__:
        raise UserError(f"The training of {config.name} failed: {last['message']}")
    if last["kind"] != Finished.__name__:
        raise AssertionError(f"a job ended with {last['kind']}")
    if not last["file"]:
        raise UserError(f"The training of {config.name} was stopped and left no file.")
    return events


def _judge(host: Txt2ImgHost, pictures: int, seconds: float, control: bool, report: Report) -> Taught:
    import numpy as np

    rng = np.random.default_rng(0)
    concept = [scenes.Scene.random_concept(rng) for _ in range(pictures)]
    plain = [scenes.Scene.random(rng) for _ in range(pictures)]
    tag = " <lora:bench-zunko:1>"
    drawn = {
        "taught": _draw(host, concept, tag),
        "untaught": _draw(host, concept, ""),
        "shuffled": _draw(host, concept, " <lora:bench-shuffled:1>") if control else [],
        "before": _draw(host, plain, ""),
        "after": _draw(host, plain, tag),
    }
    report(f"drew {sum(map(len, drawn.values()))} pictures")
    read = {kind: _detect(images) for kind, images in drawn.items() if images}
    before, after = _scores(plain, read["before"]), _scores(plain, read["after"])
    return Taught(
        seconds=seconds,
        taught=_concept_rate(read["taught"]),
        untaught=_concept_rate(read["untaught"]),
        shuffled=_concept_rate(read["shuffled"]) if control else None,
        before=before,
        after=after,
        kept=min(after[name] / before[name] for name in KEPT),
        asked=_scores(concept, read["taught"], ("eyes", "mouth", "background", "object")),
        pictures=pictures,
    )


def _draw(host: Txt2ImgHost, wanted: list[scenes.Scene], suffix: str) -> list[Image]:
    """Draws one picture per scene; scene i has seed 1000 + i."""
    return [
        host.generate(GenerateRequest(prompt=scenes.caption(scene) + suffix, seed=1000 + i, **DRAWING))[0].image
        for i, scene in enumerate(wanted)
    ]


DRAWING: dict[str, Any] = {"steps": 20, "cfg": 4.0, "sampler": "DDIM"}
"""How the pictures are drawn."""


def _detect(images: list[Image]) -> list[dict[str, str]]:
    from lib_trainer.demo import detector

    return detector.detect(images)


def _concept_rate(read: list[dict[str, str]]) -> float:
    return sum(row["concept"] == "yes" for row in read) / len(read)


def _scores(
    wanted: list[scenes.Scene], read: list[dict[str, str]], names: tuple[str, ...] = (*KEPT, "shirt", "object")
) -> dict[str, float]:
    """Returns the share of pictures in which the detector reads what was asked, by attribute."""
    return {
        name: sum(row[name] == getattr(scene, name) for scene, row in zip(wanted, read, strict=True)) / len(read)
        for name in names
    }
