"""What is drawn of a finished slider: which prompts, at which seeds and strengths.

The preview prompts are what the person wants to see, so they come first. Without any, a slider is drawn where it has
learned: under the captions of its pairs, in the size that they were trained in, or under the prompts that it acts on.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lib_trainer.host_model import PreviewRequest
from lib_trainer.training import number_lists, preview_prompts
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.method import PARTS
from lib_trainer.training.settings.slider import SLIDER

if TYPE_CHECKING:
    from lib_trainer.data.sample import Placed


def wanted(config: TrainConfig) -> bool:
    """Whether pictures of the result are drawn at the end."""
    return SLIDER in PARTS[config.method] and bool(config.slider_strengths.strip(", \n"))


def strengths(config: TrainConfig) -> list[float]:
    """Returns the strengths, in the order in which they stand side by side.

    Raises:
        UserError: one is no strength.
    """
    return number_lists.strengths("slider_strengths", config.slider_strengths)


def seeds(config: TrainConfig) -> list[int]:
    """Returns the seeds.

    Raises:
        UserError: there is none, or one is no seed.
    """
    return number_lists.seeds("slider_seeds", config.slider_seeds)


def requests(config: TrainConfig, pictures: Sequence[Placed]) -> list[PreviewRequest]:
    """Returns a request for each row of pictures; its pictures differ in the strength alone.

    Args:
        config: the settings.
        pictures: what was learned from, prompts included.

    Raises:
        UserError: the preview prompts cannot be read.
    """
    given = [one.request for one in preview_prompts.prompts(config) if one.request.prompt]
    prompts = given or list(dict.fromkeys(_learned(config, pictures)))
    return [replace(one, seed=seed) for one in prompts[:config.slider_prompts] for seed in seeds(config)]


def _learned(config: TrainConfig, pictures: Sequence[Placed]) -> Iterator[PreviewRequest]:
    """Yields what a slider has learned from as prompts, the empty one last."""
    base = preview_prompts.common(config)
    found = [(_prompt(picture), *picture.placement.bucket) for picture in pictures if not picture.item.is_reg]
    for prompt, width, height in sorted(found, key=lambda one: not one[0]):
        yield replace(base, prompt=prompt, width=base.width or width, height=base.height or height)


def _prompt(picture: Placed) -> str:
    subset = picture.item.subset
    if subset.concept is not None:
        return subset.concept.target
    return preview_prompts.literal(subset.captions.settled(picture.item.caption))
