"""Pictures of the result: the finished LoRA at several strengths, side by side."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting

SLIDER = "Pictures of the result"
"""The part of the fold "Method" that is for methods whose result is used at strengths below 0, too."""


@dataclass(frozen=True, init=False, repr=False, eq=False)
class SliderSettings:
    """What is drawn of the finished LoRA."""

    slider_strengths: str = setting("", "Draw the result at", "Strengths at which the finished LoRA is drawn, side by "
        "side, such as -1, 0, 1. Empty = no pictures of the result.", "Method", part=SLIDER)
    slider_seeds: str = setting("1, 2", "Seeds of the result", "A row of pictures each, for every prompt.", "Method",
        part=SLIDER)
    slider_prompts: int = setting(2, "Prompts of the result", "At most so many: the first preview prompts, without "
        "any the first captions or prompts that were learned from.", "Method", minimum=1, maximum=100, part=SLIDER)
