"""The outcome of an analysis, the same for both ways of measuring, and how it is told."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_trainer.compare import subject as subjects
from lib_trainer.compare.cost import duration
from lib_trainer.compare.ranking import Effect, Proposal
from lib_trainer.compare.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

QUICK, PICTURES = "quick", "pictures"
MODES = (QUICK, PICTURES)


@dataclass(frozen=True)
class Analysis:
    """What was found.

    Attributes:
        mode: how it was measured: "quick" (predictions) or "pictures".
        subject: what was analysed.
        checkpoint: name of the checkpoint it was analysed on.
        effects: ranked, the greatest first.
        keep: the part of the effect to keep that was asked for, 0 to 1.
        proposal: the blocks that keep it; None where nothing has an effect.
        measurements: predictions or pictures it took. seconds: how long.
        told: sentences for the person.
    """

    mode: str
    subject: Subject
    checkpoint: str
    effects: list[Effect]
    keep: float
    proposal: Proposal | None
    measurements: int
    seconds: float
    told: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The prompt with the proposed block weights."""
        subject = self.subject
        return subjects.with_weights(subject.prompt, subject.name, self.proposal.weights) if self.proposal else \
            subject.prompt

    def of_block(self) -> dict[str, float]:
        """Returns the effect of every block that was examined on its own or in a group (the greatest one)."""
        found: dict[str, float] = {}
        for one in self.effects:
            for block in one.blocks:
                if block in self.subject.present:
                    found[block] = max(found.get(block, 0.0), one.effect)
        return found

    def to_json(self) -> dict[str, Any]:
        """Returns everything by name, ready for JSON."""
        return {
            "mode": self.mode, "lora": self.subject.name, "checkpoint": self.checkpoint, "arch": self.subject.arch,
            "present": list(self.subject.present), "effects": [one.to_json() for one in self.effects],
            "keep": self.keep, "proposal": self.proposal.to_json() if self.proposal else None,
            "prompt": self.prompt, "measurements": self.measurements, "seconds": round(self.seconds, 3),
            "told": list(self.told),
        }


def remarks(subject: Subject, mode: str, effects: Sequence[Effect]) -> list[str]:
    """Returns what a person must know to read the numbers."""
    sentences = list(subject.told)
    if subject.loose:
        sentences.append(f"{subject.loose} of the LoRA's layers lie in no block (time embedding, last convolution): "
                         "block weights never touch them, and no row shows what they do.")
    others = [name for name in subjects.lora_names(subject.prompt) if name != subject.name]
    if others and mode == QUICK:
        sentences.append(f"The prompt's other LoRAs ({', '.join(others)}) do not act in the quick analysis.")
    if not any(one.effect for one in effects):
        sentences.append("None of the examined blocks changes anything, so there is nothing to propose.")
    return sentences


def summary(analysis: Analysis) -> str:
    """Returns the proposal in one honest sentence; "" where there is none."""
    proposal = analysis.proposal
    if proposal is None:
        return ""
    rows = f"{len(proposal.labels)} of {len(analysis.effects)}"
    estimate = f"their shares add up to {percent(proposal.share)}"
    measured = "what they keep together was not measured" if proposal.kept is None else \
        f"measured together they keep {percent(proposal.kept)} of the effect"
    return f"{rows}: {', '.join(proposal.labels)}; {estimate}, {measured}."


def cost_line(analysis: Analysis) -> str:
    """Says what the analysis took."""
    kind = "predictions" if analysis.mode == QUICK else "pictures"
    return f"{analysis.measurements} {kind} in {duration(analysis.seconds)}"


def percent(part: float) -> str:
    """Writes a part as percent, never rounded up to 100 % nor down to 0."""
    shown = part * 100
    if 0 < shown < 0.1:
        return "< 0.1 %"
    return f"{math.floor(shown * 10) / 10:g} %" if 99 < shown < 100 else f"{shown:.3g} %"
