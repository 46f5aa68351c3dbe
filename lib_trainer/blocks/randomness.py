"""Random block weights: `R` and `U` in a list, drawn from the picture's seed.

The process-wide generators are neither read nor advanced, and the same seed, LoRA, tag and block give the same number
in every pass, process and version of Python.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable

RANGES: dict[str, tuple[float, float]] = {"R": (0.0, 1.0), "U": (-0.5, 1.5)}
"""From where to where each kind of random weight is drawn."""

Draw = Callable[[str, str], float]
"""Draws the weight of a kind ("R" or "U") for a block."""


def drawing(seed: int, name: str, place: int) -> Draw:
    """Returns what draws the random weights of one tag.

    Args:
        seed: of the first picture of the batch.
        name: the LoRA's name.
        place: how many earlier tags of the prompt name the same LoRA.
    """
    def draw(kind: str, block: str) -> float:
        low, high = RANGES[kind.upper()]
        text = "\0".join((str(seed), name, str(place), block))
        number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        return round(low + (high - low) * number / 2**64, 3) + 0.0

    return draw
