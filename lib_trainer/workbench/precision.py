"""A LoRA in another precision: the same file under the names that it has, with smaller or wider numbers."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib_trainer.workbench import new_lora, reading, rounding
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.rounding import Rounded


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


def run(order: PrecisionOrder) -> Operation:
    """Writes a file in another precision, under the names that it has.

    Raises:
        UserError: the order or the file cannot be, or numbers are too great: every tensor that has such.
    """
    dtype = rounding.named(order.precision)
    new_lora.require_new(order.out)
    yield Progress(0, 1, "Reading")
    reading.read(order.source)  # a damaged file is told as such, not rounded
    stored = reading.as_stored(order.source)
    rounded = Rounded()
    for done in rounding.each(stored.tensors, dtype, rounded):
        yield Progress(done, len(stored.tensors), "Rounding")
    rounding.refuse(order.source, rounded, order.precision)
    new_lora.save(order.out, rounded.tensors, stored.metadata)
    facts = {"summary": summary(order.out, rounded, order.precision), "bytes": order.out.stat().st_size,
             "bytes_before": order.source.stat().st_size, **rounded.facts()}
    return Outcome(order.out, facts, [], [*stored.notes, *rounded.notes(order.precision)])


def summary(out: Path, rounded: Rounded, precision: str) -> str:
    """Returns what was written as a sentence."""
    return (f"{out.name}: {out.stat().st_size / 1e6:.1f} MB in {precision}; {rounded.changed} of "
            f"{len(rounded.tensors)} tensors rounded, none by more than {rounded.error:.2%}.")
