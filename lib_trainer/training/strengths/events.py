"""What drawing a finished slider tells the world, beside what every run tells."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.events import Event


@dataclass(frozen=True)
class StrengthsDrawn(Event):
    """The finished LoRA was drawn at several strengths, with one prompt and seed.

    Attributes:
        step: updates done. prompt, seed: of all pictures. strengths: of each. files: their paths.
    """

    step: int
    prompt: str
    seed: int
    strengths: list[float]
    files: list[str]


@dataclass(frozen=True)
class StrengthsSheet(Event):
    """All pictures of the finished LoRA are drawn.

    Attributes:
        step: updates done. file: the sheet that shows all of them, "" where it has no font to be written with.
        folder: of the pictures. strengths: at which. pictures: how many.
    """

    step: int
    file: str
    folder: str
    strengths: list[float]
    pictures: int
