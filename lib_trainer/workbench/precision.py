"""A LoRA's numbers in another precision: rounded once, and refused where a number would become infinite.

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
from lib_trainer.workbench import new_lora, reading
from lib_trainer.workbench.operation import Operation, Outcome, Progress

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""A person's word -> dtype."""

_SHOWN = 12
_EVERY = 64
"""Tensors between two reports of progress."""


@dataclass(frozen=True)
class PrecisionOrder:
    """What is to be rounded.

    Attributes:
        source: the LoRA; it stays as it is. out: the new file.
        precision: a key of PRECISIONS.
    """

    source: Path
    out: Path
    precision: str


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


def run(order: PrecisionOrder) -> Operation:
    """Writes a file in another precision, under the names that it has.

    Raises:
        UserError: the order or the file cannot be, or numbers are too great: every tensor that has such.
    """
    dtype = named(order.precision)
    new_lora.require_new(order.out)
    yield Progress(0, 1, "Reading")
    reading.read(order.source)  # a damaged file is told as such, not rounded
    stored = reading.as_stored(order.source)
    rounded = Rounded()
    for done in rounding(stored.tensors, dtype, rounded):
        yield Progress(done, len(stored.tensors), "Rounding")
    refuse(order.source, rounded, order.precision)
    new_lora.save(order.out, rounded.tensors, stored.metadata)
    facts = {"summary": summary(order.out, rounded, order.precision), "bytes": order.out.stat().st_size,
             "bytes_before": order.source.stat().st_size, **rounded.facts()}
    return Outcome(order.out, facts, [], [*stored.notes, *rounded.notes(order.precision)])


def named(precision: str) -> torch.dtype:
    """Returns the dtype of a person's word.

    Raises:
        UserError: it is none of PRECISIONS.
    """
    if precision not in PRECISIONS:
        raise UserError(f"There is no precision '{precision}': choose one of {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def rounding(tensors: Mapping[str, Tensor], dtype: torch.dtype, rounded: Rounded) -> Iterator[int]:
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


def summary(out: Path, rounded: Rounded, precision: str) -> str:
    """Returns what was written as a sentence."""
    return (f"{out.name}: {out.stat().st_size / 1e6:.1f} MB in {precision}; {rounded.changed} of "
            f"{len(rounded.tensors)} tensors rounded, none by more than {rounded.error:.2%}.")
