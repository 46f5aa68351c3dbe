"""How strongly each layer and block of a LoRA acts: the table behind `lora inspect` and pruning.

A layer's size is the Frobenius norm of its weight delta (`lora.delta_norms`); a block's energy is the sum of its
layers' squares, its share that of the whole file's.
"""
from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lib_trainer.blocks.layers import block_of
from lib_trainer.blocks.layouts import BLOCKS_26
from lib_trainer.lora import delta_norms, keys
from lib_trainer.lora.algorithms import registry
from lib_trainer.workbench.operation import Progress
from lib_trainer.workbench.reading import ReadLora
from lib_trainer.workbench.report import OTHER

_EVERY = 32
"""Layers between two reports of progress."""


@dataclass(frozen=True)
class Strength:
    """One layer.

    Attributes:
        layer: kohya's name. block: where it is; OTHER where no block is known.
        squared: of the norm; None where it cannot be worked out, or is no number.
        exact: whether it is the norm itself; False = an approximation.
        rank: None where the kind has none.
        is_empty: whether the layer surely changes nothing.
    """

    layer: str
    block: str
    squared: float | None
    exact: bool
    rank: int | None
    is_empty: bool


def of_layers(lora: ReadLora) -> Generator[Progress, None, list[Strength]]:
    """Measures the layers of a file; yields progress now and then, returns them in the file's order."""
    arch = keys.ARCH_BY_FAMILY.get(lora.family or "", "")
    found: list[Strength] = []
    grouped = keys.by_layer(lora.tensors)
    for done, (layer, parts) in enumerate(grouped.items(), 1):
        measured = delta_norms.measure(parts)
        squared = measured.squared if measured and math.isfinite(measured.squared) else None
        # DoRA's lengths change the weight even where its factors are zero.
        empty = squared == 0.0 and registry.DORA_SCALE not in parts
        rank = keys.rank({part: {"shape": tuple(tensor.shape)} for part, tensor in parts.items()})
        found.append(Strength(layer, (arch and block_of(layer, arch)) or OTHER, squared,
                              bool(measured and measured.exact), rank, empty))
        if done % _EVERY == 0 or done == len(grouped):
            yield Progress(done, len(grouped), "Measuring")
    return found


def blocks(layers: Iterable[Strength]) -> dict[str, list[Strength]]:
    """Returns the layers by block, in layout order."""
    grouped: dict[str, list[Strength]] = {}
    for layer in layers:
        grouped.setdefault(layer.block, []).append(layer)
    return {block: grouped[block] for block in (*BLOCKS_26, OTHER) if block in grouped}


def energy(layers: Iterable[Strength]) -> float:
    """Returns the sum of the squares that are known."""
    return sum(layer.squared or 0.0 for layer in layers)


def shares(by_block: Mapping[str, Iterable[Strength]], measure: str = "energy") -> dict[str, float]:
    """Returns each block's part of the whole, 0 to 1.

    Args:
        by_block: from `blocks`.
        measure: "energy" (squares) or "norm".
    """
    sizes = {block: energy(layers) if measure == "energy" else math.sqrt(energy(layers))
             for block, layers in by_block.items()}
    total = sum(sizes.values())
    return {block: size / total if total else 0.0 for block, size in sizes.items()}


def row(block: str, layers: list[Strength], share: float) -> dict[str, Any]:
    """Returns a block's row, ready for JSON: its layers, ranks, norm, share and empty layers."""
    ranks = {layer.rank for layer in layers if layer.rank}
    told = "" if not ranks else str(min(ranks)) if len(ranks) == 1 else f"{min(ranks)}-{max(ranks)}"
    return {"block": block, "layers": len(layers), "ranks": told, "norm": math.sqrt(energy(layers)), "share": share,
            "empty": sum(layer.is_empty for layer in layers)}


def notes(layers: Iterable[Strength]) -> list[str]:
    """Returns what is to be said of numbers that are not the whole truth."""
    layers = list(layers)
    unknown = [layer.layer for layer in layers if layer.squared is None]
    rough = sum(layer.squared is not None and not layer.exact for layer in layers)
    told = []
    if unknown:
        told.append(f"{len(unknown)} layers, such as '{unknown[0]}', could not be measured: they count as "
                    "nothing here.")
    if rough:
        told.append(f"The sizes of {rough} layers are approximations: what they change depends on the model's "
                    "weights.")
    return told
