"""The quick analysis from start to end: predictions, ranking, proposal, and the proposal measured."""
from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence

import torch
from torch import Tensor

from lib_trainer.compare import ranking
from lib_trainer.compare.analysis import QUICK, Analysis, remarks
from lib_trainer.compare.block_groups import Group, weights
from lib_trainer.compare.cost import Cost, Progress
from lib_trainer.compare.probe import Look, Probe
from lib_trainer.compare.ranking import Effect, Proposal
from lib_trainer.compare.subject import Subject
from lib_trainer.host import Lease

WITHOUT, ONLY = "without", "only"
"""Measures of a group: what is lost without it, what it does alone; both relative to the LoRA's whole change."""

_REFERENCES = 2
"""With the whole LoRA and without it."""


def cost(groups: Sequence[Group], each: float = 0.0) -> Cost:
    """Returns what an analysis takes, the proposal measured once; finding the smallest one can take a few more.

    Args:
        each: seconds of one prediction (of all noisy latents), as measured; 0 = not known.
    """
    return Cost(_REFERENCES + 2 * len(groups) + 1, each)


def analyse(
    lease: Lease, subject: Subject, groups: Sequence[Group], keep: float, look: Look | None = None,
    told: Sequence[str] = (), stopped: Callable[[], bool] = lambda: False,
) -> Generator[Progress, None, Analysis | None]:
    """Measures the groups one after the other; one turn each.

    Args:
        groups: what is examined.
        keep: the part of the effect that the proposal keeps, above 0 and at most 1.
        look: which noisy latents.
        told: sentences to pass on.
        stopped: asked before every group; once it says True, there is no outcome.

    Yields:
        How far it is, after every prediction.

    Raises:
        UserError: the LoRA does not fit the model. ModelChanged: the host's model is another one now.
    """
    ranking.require_part(keep)
    begun = time.perf_counter()
    measuring = _Measuring(Probe(lease, subject, look or Look()), subject, cost(groups).count)
    yield from measuring.references()
    effects: list[Effect] = []
    for group in groups:
        if stopped():
            return None
        effects.append((yield from measuring.effect(group)))
    effects = ranking.ranked(effects)
    proposal = measuring.proposal(effects, keep)
    yield measuring.progress("proposal")
    return Analysis(
        QUICK, subject, measuring.checkpoint, effects, keep, proposal, measuring.probe.predictions,
        time.perf_counter() - begun, (*told, *measuring.probe.told, *remarks(subject, QUICK, effects)))


class _Measuring:
    """The predictions of one analysis against its two references."""

    def __init__(self, probe: Probe, subject: Subject, total: int) -> None:
        self.probe = probe
        self.checkpoint = probe.checkpoint
        self._subject, self._total = subject, total

    def references(self) -> Iterator[Progress]:
        """Predicts with the whole LoRA and without it."""
        self._full = self.probe.predict({})
        yield self.progress("whole LoRA")
        self._none = self.probe.predict(None)
        self._whole = _distances(self._full, self._none)
        yield self.progress("without the LoRA")

    def effect(self, group: Group) -> Generator[Progress, None, Effect]:
        """Predicts without a group and with it alone."""
        without = self._relative(self.probe.predict(self._weights(group.blocks, 0.0, 1.0)), self._full)
        yield self.progress(group.label)
        only = self._relative(self.probe.predict(self._weights(group.blocks, 1.0, 0.0)), self._alone)
        yield self.progress(group.label)
        return Effect(group.label, group.blocks, (without + only) / 2, {WITHOUT: without, ONLY: only})

    @property
    def _alone(self) -> Tensor:
        """What a group alone is compared with: all blocks off, and layers in no block on, where the LoRA has some."""
        if not self._subject.loose:
            return self._none
        if not hasattr(self, "_bare"):
            self._bare = self.probe.predict(self._weights((), 1.0, 0.0))
        return self._bare

    def proposal(self, effects: Sequence[Effect], keep: float) -> Proposal | None:
        """Returns the shortest beginning of the ranking that keeps enough as measured."""
        most = ranking.count_for(effects, 1.0)
        if not most:
            return None
        count, kept = ranking.smallest(
            ranking.count_for(effects, keep), most, keep, lambda count: self._kept(effects, count))
        return ranking.proposal(effects, count, self._subject.arch, self._subject.present, kept=kept)

    def progress(self, what: str) -> Progress:
        """Says how far it is."""
        done = self.probe.predictions
        total = max(done, self._total)
        return Progress(done, total, what, (total - done) * self.probe.seconds)

    def _kept(self, effects: Sequence[Effect], count: int) -> float:
        said = self.probe.predict(ranking.ratios(effects, count, self._subject.arch))
        return 1.0 - self._relative(said, self._full)

    def _weights(self, blocks: Sequence[str], value: float, others: float) -> dict[str, float]:
        return weights(self._subject.arch, blocks, value, others)

    def _relative(self, said: Tensor, reference: Tensor) -> float:
        """Returns the distance relative to the whole change, the mean over the noisy latents: all count alike."""
        parts = _distances(said, reference) / self._whole
        return float(parts.nan_to_num(0.0, 0.0, 0.0).mean())  # where the whole LoRA changes nothing, no block does


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Returns the Euclidean distance of every noisy latent, (B,)."""
    return torch.linalg.vector_norm((first - second).flatten(1), dim=1)
