"""Who looks at a copier's samples: measures the copy score, and ends the copier when it copies.

Samples are ordinary previews of the run: the captions of its pictures as prompts, at the same seeds every time, the
first ones before the first step. What the judge remembers goes into the run's states.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.sample import Placed
from lib_trainer.training.checks.copiers import seeds_of
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import CopyScored, EndedEarly, Event, Previewed, Warned
from lib_trainer.training.methods import copy_rule, copy_score
from lib_trainer.training.methods.copy_rule import Measured
from lib_trainer.training.methods.copy_score import Aim
from lib_trainer.training.preview_prompts import literal
from lib_trainer.training.run import Run

_MOST = 8
"""Captions that are sampled: enough to see whether copies are made, few enough to be drawn in a moment."""


def sampled(datasets: Sequence[Dataset]) -> dict[str, list[Placed]]:
    """Returns the pictures by caption, of the first captions; regularisation pictures are not to be copied."""
    found: dict[str, list[Placed]] = {}
    for dataset in datasets:
        for item in dataset.items:
            if not item.is_reg:
                caption = item.subset.captions.settled(item.caption)
                found.setdefault(caption, []).append(_placed(dataset, item))
    return dict(list(found.items())[:_MOST])


def samples(pictures: dict[str, list[Placed]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Returns the entries of a prompt file: every caption at every seed, in the size that its picture is trained in."""
    entries = []
    for caption, placed in pictures.items():
        width, height = placed[0].placement.bucket
        entries += [{"prompt": literal(caption), "seed": seed, "width": width, "height": height} for seed in seeds]
    return entries


def aims(pictures: dict[str, list[Placed]], others: Sequence[Dataset] = ()) -> dict[str, Aim]:
    """Returns what is to be drawn, by prompt.

    Args:
        pictures: by caption.
        others: data sets of the other pictures of the pairs, called as these are; only what differs from them counts.

    Raises:
        UnreadablePicture: one cannot be read.
    """
    counterparts = {item.key: _placed(dataset, item) for dataset in others for item in dataset.items}
    found = {}
    for caption, placed in pictures.items():
        pixels = [copy_score.trained(one) for one in placed]
        weights: list[copy_score.Pixels | None] = [None] * len(placed)
        if others:
            weights = [copy_score.where_they_differ(mine, copy_score.trained(counterparts[one.item.key]))
                       for mine, one in zip(pixels, placed, strict=True)]
        found[literal(caption)] = Aim(placed[0].item.file, pixels, weights)
    return found


def _placed(dataset: Dataset, item: Item) -> Placed:
    return Placed(item, dataset.buckets.select(item.width, item.height))


@dataclass
class CopyJudge:
    """Judges one copier.

    Attributes:
        config: its settings. aims: what is to be drawn, by prompt.
        untouched: distances of what was drawn before the first step, by the picture's name.
        curve: what was measured at the steps that samples are due at; those that a person asks for between are told
            and do not count, so that looking changes nothing.
    """

    config: TrainConfig
    aims: dict[str, Aim]
    untouched: dict[str, float] = field(default_factory=dict)
    curve: list[Measured] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it copies."""
        return bool(self._why_it_ends())

    def lacks(self, step: int) -> bool:
        """Whether the samples of a step at which they are due were not all drawn."""
        return all(one.step != step for one in self.curve)

    def see(self, run: Run, event: Event) -> Iterator[Event]:
        """Measures samples; tells the score, that it is enough, and at the last step that it is not."""
        if not isinstance(event, Previewed):
            return
        try:
            now = self._distances(event)
        except OSError as error:
            yield Warned(f"The copy score of step {event.step} is left out: a sample cannot be read ({error}).")
            return
        if event.step == 0:
            self.untouched = now
            return
        found = copy_score.scores(now, self.untouched)
        if len(found) < len(self.aims):  # a stop, or a failure that was told: what was not drawn might be no copy
            yield Warned(f"The copy score of step {event.step} is left out: not all samples were drawn.")
            return
        if not event.asked:
            self.curve.append(Measured(event.step, min(found.values()), sum(found.values()) / len(found)))
        threshold = self.config.copier_score
        copied = copy_rule.standing(self.curve, threshold).copied
        yield CopyScored(event.step, min(found.values()), found, threshold, copied)
        if event.asked:
            return
        if why := self._why_it_ends():
            yield EndedEarly(event.step, event.step, why)
        elif event.step == run.length.total and (lack := copy_rule.what_it_lacks(self.curve[-1])):
            yield Warned(lack)

    def _why_it_ends(self) -> str:
        config = self.config
        return copy_rule.why_it_ends(self.curve, config.copier_score, config.copier_patience, config.copier_level)

    def _distances(self, event: Previewed) -> dict[str, float]:
        """Returns the distances of the captions that were drawn at all seeds."""
        drawn: dict[str, list[copy_score.Pixels]] = {}
        for file, prompt, random in zip(event.files, event.prompts, event.random, strict=True):
            if prompt in self.aims and not random:
                with Image.open(Path(file)) as image:
                    drawn.setdefault(prompt, []).append(copy_score.small(image))
        seeds = len(seeds_of(self.config))
        return {self._name(prompt): self.aims[prompt].distance(pixels) for prompt, pixels in drawn.items()
                if len(pixels) >= seeds}

    def _name(self, prompt: str) -> str:
        """Returns what a prompt's score is called: its picture, with the prompt where several are called so."""
        name = self.aims[prompt].name
        alike = [aim for aim in self.aims.values() if aim.name == name]
        return name if len(alike) == 1 else f"{name}: {prompt}"

    def state_dict(self) -> dict[str, Any]:
        """Returns what it remembers."""
        return {"untouched": dict(self.untouched), "curve": [list(astuple(one)) for one in self.curve]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it back."""
        self.untouched, self.curve = dict(state_dict["untouched"]), [Measured(*one) for one in state_dict["curve"]]
