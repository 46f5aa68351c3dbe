"""To which rank a change is brought: not at all (exact), to a fixed one, or to one that each layer needs by itself.

Exact keeps everything: ranks add up. The singular value decomposition keeps the greatest singular values, which is the
best approximation of a rank there is (Eckart and Young, 1936). How many are kept is fixed, or found out layer by layer
from the singular values s1 >= s2 >= ... ("dynamic"):

* `sv_ratio` p: those greater than s1 / p.
* `cumulative` p: the fewest whose sum is at least p times the sum of all.
* `frobenius` p: the fewest with a norm sqrt(sum of squares) of at least p times the norm of all.

A fixed rank beside a dynamic one is its upper bound. Matrices and 1x1 convolutions belong to `rank`, kernels greater
than that to `conv_rank`. Standard library only.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

from lib_trainer.errors import Problems

EXACT, SVD = "exact", "svd"
KINDS = (EXACT, SVD)

SV_RATIO, CUMULATIVE, FROBENIUS = "sv_ratio", "cumulative", "frobenius"
DYNAMIC = ("", SV_RATIO, CUMULATIVE, FROBENIUS)
"""How a layer's rank is found out; "" = it is fixed."""


@dataclass(frozen=True)
class Called:
    """How a person calls the parts of a reduction."""

    exact: str
    svd: str
    rank: str
    conv_rank: str
    dynamic: str
    threshold: str


CALLED = Called("the reduction 'exact'", "the reduction 'svd'", "rank", "conv_rank", "dynamic", "threshold")
"""As this module does."""


@dataclass(frozen=True)
class Reduction:
    """What is to become of the ranks.

    Attributes:
        kind: "exact" or "svd".
        rank: of matrices and 1x1 convolutions, at most; None = no bound, for a dynamic rank only.
        conv_rank: of greater kernels, at most; None = as `rank`.
        dynamic: one of `DYNAMIC`.
        threshold: its p: above 1 for `sv_ratio`, above 0 and at most 1 for the others.
    """

    kind: str = EXACT
    rank: int | None = None
    conv_rank: int | None = None
    dynamic: str = ""
    threshold: float | None = None

    def limit(self, conv: bool) -> int | None:
        """Returns the greatest rank of a layer; None = no bound.

        Args:
            conv: whether the layer has a kernel greater than 1x1.
        """
        return self.conv_rank if conv and self.conv_rank is not None else self.rank

    def check(self) -> None:
        """Raises all that contradicts itself.

        Raises:
            UserError: there is something; one sentence for each.
        """
        if faults := self.faults():
            raise Problems(faults)

    def faults(self, called: Called = CALLED) -> list[str]:
        """Returns a sentence for everything that contradicts itself.

        Args:
            called: how the person calls what is given here.
        """
        if self.kind not in KINDS:
            return [f"The reduction '{self.kind}' is none of {' and '.join(KINDS)}. Choose one of them."]
        if self.dynamic not in DYNAMIC:
            return [f"The dynamic rank '{self.dynamic}' is none of {', '.join(DYNAMIC[1:])}. Choose one of them, or "
                    "leave it empty for a fixed rank."]
        if self.kind == EXACT:
            given = {called.rank: self.rank, called.conv_rank: self.conv_rank, called.dynamic: self.dynamic or None,
                     called.threshold: self.threshold}
            return [f"{name} = {value}: it counts for {called.svd} only, and {called.exact} keeps every rank. Leave it "
                    f"out, or choose {called.svd}." for name, value in given.items() if value is not None]
        return [*self._rank_faults(called), *self._threshold_faults(called)]

    def _rank_faults(self, called: Called) -> list[str]:
        named = ((called.rank, self.rank), (called.conv_rank, self.conv_rank))
        faults = [f"{name} = {rank}: give at least 1." for name, rank in named if rank is not None and rank < 1]
        if self.rank is None and not self.dynamic:
            faults.append(f"{called.rank} is not given: it says how great the ranks may become. Give a number, or "
                          f"{called.dynamic} with {called.threshold}.")
        return faults

    def _threshold_faults(self, called: Called) -> list[str]:
        if not self.dynamic:
            return [] if self.threshold is None else [
                f"{called.threshold} = {self.threshold:g}: it is for {called.dynamic}, which is off. Choose sv_ratio, "
                f"cumulative or frobenius there, or leave {called.threshold} out."]
        if self.threshold is None:
            return [f"{called.threshold} is not given, and {called.dynamic} = {self.dynamic} needs it. Give a number: "
                    f"{'above 1, such as 20' if self.dynamic == SV_RATIO else 'above 0 and at most 1, such as 0.95'}."]
        if not math.isfinite(self.threshold):
            return [f"{called.threshold} = {self.threshold}: give a number."]
        if self.dynamic == SV_RATIO and self.threshold <= 1:
            return [f"{called.threshold} = {self.threshold:g}: with sv_ratio singular values greater than the greatest "
                    "one divided by it are kept. Give more than 1, such as 20."]
        if self.dynamic != SV_RATIO and not 0 < self.threshold <= 1:
            return [f"{called.threshold} = {self.threshold:g}: with {self.dynamic} it is a part of the whole. Give "
                    "more than 0 and at most 1, such as 0.95."]
        return []

    def in_words(self) -> str:
        """Returns a short text for a file's record, such as "svd, rank 8, conv_rank 4, frobenius 0.9"."""
        told = [self.kind]
        for name, value in (("rank", self.rank), ("conv_rank", self.conv_rank), (self.dynamic, self.threshold)):
            if value is not None:
                told.append(f"{name} {value:g}")
        return ", ".join(told)
