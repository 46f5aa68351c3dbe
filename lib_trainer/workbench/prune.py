"""A LoRA without the layers that change nothing, the blocks that change little, and those that are not wanted.

What stays keeps every bit and its name. How much each block does is told before anything is written.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_trainer.errors import Lacking, Problems, UserError
from lib_trainer.workbench import names, new_lora, reading, strengths
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.reading import ReadLora
from lib_trainer.workbench.strengths import Strength

MEASURES = {"energy": "squares of the norms", "norm": "norms"}
"""What a block's part of the whole is a part of."""


@dataclass(frozen=True)
class PruneOrder:
    """What is to be taken out.

    Attributes:
        source: the LoRA; it stays as it is.
        out: the new file; None = only tell what would go.
        empty: whether layers that change nothing go.
        below: blocks whose part of the whole is less go, 0 (none) to less than 1.
        measure: a key of MEASURES.
        blocks: names of blocks that go in any case, such as "BASE", "IN04".
        family: "sd1", "sd2" or "sdxl"; "" = as the file tells.
    """

    source: Path
    out: Path | None = None
    empty: bool = True
    below: float = 0.0
    measure: str = "energy"
    blocks: tuple[str, ...] = ()
    family: str = ""


def run(order: PruneOrder) -> Operation:
    """Prunes a file, or tells what would go.

    Raises:
        UserError: the order or the file cannot be, or nothing would be left.
    """
    if order.out is not None:
        new_lora.require_new(order.out)
    yield Progress(0, 1, "Reading")
    lora = reading.read(order.source, order.family)
    layers = yield from strengths.of_layers(lora)
    by_block = strengths.blocks(layers)
    _check(order, lora, by_block)
    shares = strengths.shares(by_block, order.measure)
    why = {layer.layer: reason for block, members in by_block.items() for layer in members
           if (reason := _reason(order, layer, shares[block]))}
    if len(why) == len(layers):
        raise UserError(f"Nothing of '{order.source.name}' would be left: all of its {len(layers)} layers would go. "
                        "Name fewer blocks, or choose a lower limit.")
    rows = [_row(block, members, shares[block], why) for block, members in by_block.items()]
    facts = {"layers_before": len(layers), "layers": len(layers) - len(why), "dropped": len(why),
             "dropped_energy": _dropped_energy(layers, why)}
    notes = [*lora.notes, *reading.carried_notes(lora), *strengths.notes(layers)]
    if order.out is None or not why:
        told = f"{len(why)} of {len(layers)} layers would go." if why else "Nothing would go: no file was written."
        return Outcome(None, {"summary": told, **facts}, rows, notes)
    yield Progress(0, 1, "Writing")
    _write(order.out, lora, set(why))
    size = order.out.stat().st_size
    told = f"{order.out.name}: {size / 1e6:.1f} MB; {len(why)} of {len(layers)} layers were taken out, with " \
           f"{facts['dropped_energy']:.2%} of the energy."
    return Outcome(order.out, {"summary": told, "bytes": size, **facts}, rows, notes)


def _check(order: PruneOrder, lora: ReadLora, by_block: Mapping[str, list[Strength]]) -> None:
    """Checks the order against the file.

    Raises:
        Problems: all that cannot be.
    """
    if lora.family is None and (order.below or order.blocks):
        raise Lacking("family", [f"'{lora.path.name}' does not tell which kind of model it is for, and blocks differ "
                                 "by it. Name the family."])
    faults = []
    if not 0 <= order.below < 1:
        faults.append(f"Blocks of less than {order.below:g} of the whole would be taken out, which is every one: give "
                      "a part from 0 to less than 1.")
    if order.measure not in MEASURES:
        faults.append(f"Measured by = '{order.measure}': choose {' or '.join(MEASURES)}.")
    if unknown := [block for block in order.blocks if block not in by_block]:
        faults.append(f"The LoRA has no layers in {', '.join(unknown)}. It has: {', '.join(by_block)}.")
    if faults:
        raise Problems(faults)


def _reason(order: PruneOrder, layer: Strength, share: float) -> str:
    """Returns why a layer goes; "" = it stays."""
    if layer.block in order.blocks:
        return "named"
    if share < order.below and layer.squared is not None:
        return "weak"
    return "empty" if order.empty and layer.is_empty else ""


def _dropped_energy(layers: list[Strength], why: Mapping[str, str]) -> float:
    """Returns the dropped layers' part of the whole energy, 0 to 1."""
    total = strengths.energy(layers)
    gone = strengths.energy(layer for layer in layers if layer.layer in why)
    return gone / total if total else 0.0


def _row(block: str, layers: list[Strength], share: float, why: Mapping[str, str]) -> dict[str, Any]:
    reasons = [why[layer.layer] for layer in layers if layer.layer in why]
    return {**strengths.row(block, layers, share), "dropped": len(reasons),
            "why": ", ".join(dict.fromkeys(reasons))}


def _write(out: Path, lora: ReadLora, gone: set[str]) -> None:
    """Writes what stays, under the file's own names and with its own numbers."""
    stored = reading.as_stored(lora.path)
    family = names.FAMILIES.get(lora.family or "")
    kept = {}
    for name, tensor in stored.tensors.items():
        said = names.understood(name)
        layer = names.kohya_layer(said, family) if said else None
        if name in lora.carried or layer is None or layer not in gone:
            kept[name] = tensor
    new_lora.save(out, kept, stored.metadata)
