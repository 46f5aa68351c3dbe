"""Which blocks matter: effects ranked, and the smallest set of blocks that keeps a part of the whole effect.

Effects of blocks do not simply add up: what one block does, later blocks see. So a share computed from single effects
is an estimate, and a proposal is only told together with what was measured with exactly its blocks switched on.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_trainer.blocks import writing
from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.errors import UserError

KEEP = 0.9
"""Part of the effect that a proposal keeps unless the person says otherwise."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Effect:
    """What a group of blocks does.

    Attributes:
        label: the block's name, or the group as written. blocks: its blocks.
        effect: >= 0; of predictions: the change relative to the LoRA's whole change (1 = as much); of pictures: mean
            difference in percent of the values' range.
        measures: the numbers that the effect comes from, by name.
        share: its part of the sum of all effects, 0 to 1.
    """

    label: str
    blocks: tuple[str, ...]
    effect: float
    measures: dict[str, float] = field(default_factory=dict)
    share: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers by name."""
        return {"label": self.label, "blocks": list(self.blocks), "effect": self.effect, "share": self.share,
                **self.measures}


@dataclass(frozen=True)
class Proposal:
    """Blocks that keep a part of the effect.

    Attributes:
        labels: the groups kept, the strongest first.
        weights: the block weights as a tag and a preset take them: the shortest list that means the same.
        share: the sum of their shares (an estimate).
        kept: what was measured with these weights: 1 - distance to the whole effect / the whole effect; None = not
            measured. Below 0 where the picture is further away than without the LoRA.
    """

    labels: tuple[str, ...]
    weights: str
    share: float
    kept: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return {"labels": list(self.labels), "weights": self.weights, "share": self.share, "kept": self.kept}


def ranked(effects: Sequence[Effect]) -> list[Effect]:
    """Returns the effects with their shares, the greatest first; equal ones in the order given."""
    whole = sum(one.effect for one in effects)
    shared = [Effect(one.label, one.blocks, one.effect, one.measures, one.effect / whole if whole else 0.0)
              for one in effects]
    return sorted(shared, key=lambda one: -one.effect)


def require_part(keep: float) -> None:
    """Checks the part of the effect that a person wants to keep.

    Raises:
        UserError: it is not above 0 and at most 1.
    """
    if not 0 < keep <= 1:
        raise UserError(f"The part of the effect to keep must be above 0 and at most 1 (100 %), got {keep:g}.")


def count_for(effects: Sequence[Effect], keep: float) -> int:
    """Returns how many of the ranked effects it takes until their shares sum up to `keep`; those without effect never.

    Args:
        effects: as `ranked` returns them.
        keep: 0 to 1; 1 takes every effect above 0.
    """
    acting = [one.share for one in effects if one.effect > 0]
    sums = itertools.accumulate(acting)
    return next((place for place, total in enumerate(sums, 1) if total >= keep - _ROUNDING and keep < 1), len(acting))


def ratios(effects: Sequence[Effect], count: int, arch: str, value: float = 1.0) -> dict[str, float]:
    """Returns the weights that keep the first `count` effects: examined blocks that are not among them get 0.

    Blocks that were not examined keep their weight: nobody knows what they do. Those that the LoRA lacks are 0 only
    where the list of the LoRA's layout does not name them.

    Args:
        effects: as `ranked` returns them.
        value: the weight of what is kept.
    """
    kept = {block for one in effects[:count] for block in one.blocks}
    dropped = {block for one in effects[count:] for block in one.blocks} - kept
    return {block: 0.0 if block in dropped else value for block in ARCH_BLOCKS[arch]}


def proposal(
    effects: Sequence[Effect], count: int, arch: str, present: Sequence[str], value: float = 1.0,
    kept: float | None = None,
) -> Proposal:
    """Returns the proposal that keeps the first `count` effects.

    Args:
        present: the blocks that the LoRA has: the weights of all others mean nothing and are written as 0.
    """
    by_block = ratios(effects, count, arch, value)
    there = {block: weight if block in present else 0.0 for block, weight in by_block.items()}
    names = tuple(one.label for one in effects[:count])
    return Proposal(names, _list(there, arch), sum(one.share for one in effects[:count]), kept)


def _list(weights: Mapping[str, float], arch: str) -> str:
    """Writes a list also where one number would do: a proposal may become a preset, and presets are lists."""
    text = writing.numbers(weights, arch)
    return text if "," in text else ",".join([text] * len(ARCH_BLOCKS[arch]))


def smallest(count: int, most: int, keep: float, measure: Callable[[int], float]) -> tuple[int, float]:
    """Finds the shortest beginning of a ranking that keeps enough as measured, starting where the estimate says.

    Args:
        count: the estimate, 1 to `most`.
        most: how many effects there are to keep.
        keep: 0 to 1.
        measure: tells what the first N effects keep; asked at most `most` times.

    Returns:
        The count and what it keeps; `most` where even that keeps less.
    """
    found = measure(count)
    if found >= keep - _ROUNDING:
        while count > 1 and (fewer := measure(count - 1)) >= keep - _ROUNDING:
            count, found = count - 1, fewer
        return count, found
    while count < most and found < keep - _ROUNDING:
        count += 1
        found = measure(count)
    return count, found
