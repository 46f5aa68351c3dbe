"""Whether a LoRA's tensors fit one another, told from their shapes before one of them is read.

The arithmetic of every kind is run on tensors without numbers (torch's meta device), so whatever would go wrong later
is found here, all of it at once, and nothing is allocated.
"""
from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lib_trainer.lora import keys
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.algorithms.parts import Parts

Shape = tuple[int, ...]

_MAX_ENTRIES = 1 << 30
"""Numbers in one layer's weight; the greatest layer of Stable Diffusion has 30 million."""

_BY_THEMSELVES = ("lora", "loha", "lokr", "full", "norm")
"""Kinds whose change can be worked out without the model's weight."""


def faults(layers: Mapping[str, Mapping[str, Shape]]) -> list[str]:
    """Returns a sentence's middle for every layer whose tensors do not fit one another.

    Args:
        layers: kohya layer -> part -> shape, of known kinds only.
    """
    return [f"{layer}: {fault}" for layer, parts in layers.items() if (fault := _fault(parts))]


def _fault(shapes: Mapping[str, Shape]) -> str:
    """Returns what is wrong with a layer; "" = nothing."""
    half = [part for part in registry.HALF_OF_LORA if part in shapes]
    if len(half) == 1 and registry.find(shapes) is None:
        return f"'{half[0]}' without its other half"
    for part in (*layer_parts.NUMBERS, keys.ALPHA):
        if part in shapes and math.prod(shapes[part]) != 1:
            return f"'{part}' is {list(shapes[part])}, not one number"
    own = _lora_fault(shapes) if keys.DOWN in shapes and keys.UP in shapes else _product_fault(shapes)
    return own or next((f"'{part}' is {list(shape)}, which holds no number" for part, shape in shapes.items()
                        if 0 in shape and part not in layer_parts.SPARSE_BIAS), "")


def _lora_fault(shapes: Mapping[str, Shape]) -> str:
    """The commonest kind, in words of its own."""
    down, up, mid = shapes[keys.DOWN], shapes[keys.UP], shapes.get(keys.MID)
    if len(down) not in (2, 4) or len(up) not in (2, 4) or (mid is not None and len(mid) != 4):
        return f"down {list(down)} and up {list(up)} are no matrices or kernels"
    inner = (mid[1], mid[0]) if mid else (down[0], down[0])
    if (down[0], up[1]) != inner:
        middle = f", mid {list(mid)}" if mid else ""
        return f"the rank of down {list(down)}{middle} and of up {list(up)} differ"
    return _size_fault(up[0] * math.prod((mid or down)[2:]) * down[1], shapes) if down[0] else "its rank is 0"


def _product_fault(shapes: Mapping[str, Shape]) -> str:
    """Any kind: its own arithmetic without numbers."""
    algorithm = registry.find(shapes)
    if algorithm is None:
        return ""
    try:
        parts = Parts(frozenset(shapes), {
            part: torch.empty(shape, device="meta") for part, shape in shapes.items()
            if part not in (*layer_parts.NUMBERS, *layer_parts.SPARSE_BIAS)})
        if algorithm.rank(parts) == 0:
            return "its rank is 0"
        entries = _entries(algorithm, parts)
    except (RuntimeError, IndexError, ValueError, TypeError, OverflowError):
        return f"its tensors do not fit one another ({_told(shapes)})"
    return _size_fault(entries, shapes)


def _size_fault(entries: int, shapes: Mapping[str, Shape]) -> str:
    if entries <= _MAX_ENTRIES:
        return ""
    return f"it would be a weight of {entries} numbers ({_told(shapes)}), which no layer is"


def _told(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{part} {list(shape)}" for part, shape in shapes.items())


def _entries(algorithm: registry.Algorithm, parts: Parts) -> int:
    """Returns how many numbers the layer's weight has, as far as its own tensors tell.

    Raises:
        RuntimeError, IndexError, ValueError: they do not fit.
    """
    if algorithm.name in _BY_THEMSELVES:
        return algorithm.product(parts, torch.empty(0, device="meta")).numel()
    if algorithm.name == "glora":
        a1, a2, b1, b2 = (parts.matrix(f"{letter}.weight") for letter in ("a1", "a2", "b1", "b2"))
        return max(_either_way(a1, a2), _either_way(b1, b2) if parts.get("bm.weight") is None else 0)
    if algorithm.name == "oft":
        blocks = parts.get("oft_blocks")
        blocks = parts["oft_diag"] if blocks is None else blocks
        if blocks.dim() not in (3, 4) or blocks.shape[-1] != blocks.shape[-2]:
            raise ValueError("no square blocks")
    return 0


def _either_way(first: Tensor, second: Tensor) -> int:
    """The product's numbers; LyCORIS has named GLoRA's factors in either order."""
    if first.shape[1] == second.shape[0]:
        return first.shape[0] * second.shape[1]
    return (second @ first).numel()


def sparse_faults(layers: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """Returns the layers whose sparse rest names a shape other than the layer's own: its reader would allocate it.

    Args:
        layers: kohya layer -> part -> tensor, of layers that have passed `faults`.
    """
    found = []
    for layer, parts in layers.items():
        if not all(part in parts for part in layer_parts.SPARSE_BIAS):
            continue
        claimed = [int(side) for side in parts["bias_size"].flatten().tolist()]
        algorithm = registry.find(parts)
        real = _entries(algorithm, Parts(frozenset(parts), {
            part: tensor.to("meta") for part, tensor in parts.items() if part not in layer_parts.SPARSE_BIAS
        })) if algorithm else 0
        if any(side < 0 for side in claimed) or math.prod(claimed) != real:
            found.append(f"{layer}: 'bias_size' is {claimed}, which is not the layer's shape")
    return found
