"""A concept to be changed: the prompts that say how, in place of a picture.

LECO and iLECO have no pictures: what is learned follows from what the model itself says under a handful of prompts. A
concept takes a picture's place in the plan of a run, so order, batches, losses and resuming are those of any run.
"""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """What the model shall say under one prompt: ε(neutral) + guidance · (ε(positive) - ε(unconditional)).

    Attributes:
        target: the prompt under which it shall say it.
        neutral: what the change starts from. positive, unconditional: whose difference is the change.
        guidance: how often the difference is added; below 0 it is taken away.
        strength: the strength of the LoRA at which this is learned; -1 for the other end of a slider.
        label: the line as a person wrote it.
    """

    target: str
    neutral: str
    positive: str
    unconditional: str
    guidance: float
    strength: float = 1.0
    label: str = ""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Every prompt once, the target first, and the empty one, from which guidance starts."""
        return tuple(dict.fromkeys((self.target, self.neutral, self.positive, self.unconditional, "")))

    @property
    def teaches_nothing(self) -> bool:
        """Whether the model says it already, whatever it is asked."""
        no_change = self.guidance == 0.0 or self.positive == self.unconditional
        whole_way = self.guidance == 1.0 and self.unconditional == self.neutral and self.positive == self.target
        return (no_change and self.neutral == self.target) or whole_way
