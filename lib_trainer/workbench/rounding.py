"""Numbers of a LoRA in another precision: rounded once, and refused where one would become infinite.

fp16 has 11 bits and ends at 65504, bf16 has 8 bits and ends where fp32 does. Single numbers of a layer (alpha) keep the
dtype that they have where rounding would change their value: a strength is not made approximate to save two bytes.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import keys
from lib_trainer.lora.algorithms.parts import NUMBERS

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""A person's word -> dtype."""

_SHOWN = 12
_EVERY = 64
"""Tensors between two reports of progress."""


@dataclass
class Rounded:
    """Tensors in their new precision.

    Attributes:
        tensors: under the names that they had.
        changed: how many have another dtype now.
        error: the greatest relative error of a tensor, by its norm.
        vanished: numbers that were not 0 and are.
        too_great: tensors with numbers that the precision does not hold, and the greatest of them.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    changed: int = 0
    error: float = 0.0
    vanished: int = 0
    too_great: dict[str, float] = field(default_factory=dict)

    def facts(self) -> dict[str, int | float]:
        """Returns the numbers, ready for JSON."""
        return {"changed": self.changed, "rounding_error": self.error, "vanished": self.vanished}

    def notes(self, precision: str) -> list[str]:
        """Returns what is to be said about it."""
        notes = [] if self.changed else [f"All tensors are {precision} already: they are written as they are."]
        if self.vanished:
            notes.append(f"{self.vanished} numbers are too small for {precision} and became 0.")
        return notes


def named(precision: str) -> torch.dtype:
    """Returns the dtype of a person's word.

    Raises:
        UserError: it is none of PRECISIONS.
    """
    if precision not in PRECISIONS:
        raise UserError(f"There is no precision '{precision}': choose one of {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def each(tensors: Mapping[str, Tensor], dtype: torch.dtype, rounded: Rounded) -> Iterator[int]:
    """Rounds tensors one after the other into `rounded`; yields how many are done, now and then."""
    for done, (name, tensor) in enumerate(tensors.items(), 1):
        _round(name, tensor, dtype, rounded)
        if done % _EVERY == 0 or done == len(tensors):
            yield done


def _round(name: str, tensor: Tensor, dtype: torch.dtype, rounded: Rounded) -> None:
    new = tensor.to(dtype) if tensor.is_floating_point() else tensor
    if keys.split(name)[1].rpartition(".")[2] in NUMBERS and not torch.equal(new.double(), tensor.double()):
        new = tensor
    rounded.tensors[name] = new
    if new.dtype == tensor.dtype:
        return
    rounded.changed += 1
    before, after = tensor.double(), new.double()
    if bool((before.isfinite() & ~after.isfinite()).any()):
        rounded.too_great[name] = float(before[before.isfinite()].abs().max())
        return
    rounded.vanished += int(((before != 0) & (after == 0)).sum())
    norm = float(before.norm())
    if norm > 0:
        rounded.error = max(rounded.error, float((after - before).norm()) / norm)


def refuse(source: Path, rounded: Rounded, precision: str) -> None:
    """Tells every tensor that the precision does not hold.

    Raises:
        Problems: there are some.
    """
    refuse_too_great(f"'{source.name}'", rounded.too_great, precision)


def refuse_too_great(whose: str, too_great: Mapping[str, float], precision: str) -> None:
    """Tells tensors that a precision does not hold.

    Args:
        whose: what they belong to. too_great: the greatest number of each, by name. precision: as a person says it.

    Raises:
        Problems: there are some.
    """
    if too_great:
        told = [f"{name} (up to {size:g})" for name, size in too_great.items()]
        more = [f"... and {len(told) - _SHOWN} more."] if len(told) > _SHOWN else []
        better = {"fp16": "Choose bf16 or fp32.", "bf16": "Choose fp32."}.get(precision, "Choose lower strengths.")
        raise Problems([f"{whose} has {len(told)} tensors with numbers that are too great for {precision}, and nothing "
                        f"was written. {better}", *told[:_SHOWN], *more])
