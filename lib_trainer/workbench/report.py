"""What an operation says of the layers it has written: a table by block, numbers of the whole, one sentence."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lib_trainer.blocks.layers import block_of
from lib_trainer.blocks.layouts import BLOCKS_26
from lib_trainer.workbench.written import Written

OTHER = "other"
"""In place of a block's name: layers that are in none."""


def rows(layers: Iterable[Written], arch: str | None) -> list[dict[str, Any]]:
    """Returns a row for each block that has layers, in layout order.

    Args:
        layers: of the file.
        arch: "sd15" or "sdxl"; None = not known, then all are in one row.

    Returns:
        block, number of layers, ranks ("8" or "2-8", "" where there is none), retained energy (0 to 1).
    """
    by_block: dict[str, list[Written]] = {}
    for layer in layers:
        by_block.setdefault((arch and block_of(layer.name, arch)) or OTHER, []).append(layer)
    return [{"block": block, "layers": len(by_block[block]), "ranks": ranks(by_block[block]),
             "retained": retained(by_block[block])} for block in (*BLOCKS_26, OTHER) if block in by_block]


def facts(layers: Sequence[Written], size: int) -> dict[str, Any]:
    """Returns numbers of the whole file.

    Args:
        layers: of the file. size: its bytes.
    """
    return {"bytes": size, "layers": len(layers), "rank": ranks(layers), "retained": retained(layers),
            "as_difference": sum("diff" in layer.tensors for layer in layers),
            "vanished": sum(layer.vanished for layer in layers)}


def notes(layers: Sequence[Written], precision: str) -> list[str]:
    """Returns what rounding has taken away.

    Args:
        layers: of the file. precision: its, as a person says it.
    """
    vanished, lost = sum(layer.vanished for layer in layers), [layer.name for layer in layers if layer.lost]
    if not vanished:
        return []
    told = f"{vanished} numbers are too small for {precision} and became 0."
    if lost:
        told += (f" {len(lost)} of {len(layers)} layers lost what they do by it, such as '{lost[0]}'. Choose the "
                 f"precision {'fp32' if precision != 'fp16' else 'bf16 or fp32'} to keep it.")
    return [told]


def ranks(layers: Iterable[Written]) -> str:
    """Returns the ranks of layers as people write them; "" where no layer has one."""
    found = {layer.rank for layer in layers if layer.rank}
    if not found:
        return ""
    return str(min(found)) if len(found) == 1 else f"{min(found)}-{max(found)}"


def retained(layers: Iterable[Written]) -> float:
    """Returns the part of the energy (squared Frobenius norm) that was written, 0 to 1."""
    energies = [(layer.kept, layer.total) for layer in layers]
    total = sum(total for _, total in energies)
    return sum(kept for kept, _ in energies) / total if total else 1.0


def summary(name: str, layers: Sequence[Written], size: int) -> str:
    """Returns the outcome as a sentence."""
    told = facts(layers, size)
    rank = f" of rank {told['rank']}" if told["rank"] else ""
    full = f", {told['as_difference']} of them as full differences" if told["as_difference"] else ""
    if kinds := [layer.kind for layer in layers if layer.kind]:
        full += f", {len(kinds)} of the kind {' and '.join(sorted(set(kinds)))} as they were"
    kept = f"; {told['retained']:.2%} of the energy is kept" if told["retained"] < 1 else ""
    return f"{name}: {size / 1e6:.1f} MB, {told['layers']} layers{rank}{full}{kept}."
