"""Strengths that know which block weights stand behind them."""
from __future__ import annotations

from lib_trainer.blocks.resolve import Weights
from lib_trainer.blocks.windows import ALWAYS


def changes(weights: Weights) -> bool:
    """Whether a tag makes any difference to the plain strength, be it in some steps only.

    What is switched in the middle of a picture must be ours: Forge merges only what it loads, and takes an object of
    its own that it has loaded before for merged, whatever was merged since.
    """
    if weights.rules or weights.fine or weights.window != ALWAYS:
        return True
    return weights.ratios is not None and any(value != 1.0 for value in weights.ratios.values())


class Strength(float):
    """A strength that equals another one only when the block weights behind both are equal, too.

    The hosts compare strengths to see whether merged weights are still right. Such a number reads as a plain one for
    everything else, and makes that comparison see a change exactly when there is one.
    """

    digest: str

    def __new__(cls, value: float, digest: str) -> Strength:
        strength = super().__new__(cls, value)
        strength.digest = digest
        return strength

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Strength) and float(self) == float(other) and self.digest == other.digest

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((float(self), self.digest))

    def __repr__(self) -> str:
        return f"{float(self)!r}~{self.digest}"
