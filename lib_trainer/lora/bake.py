"""Block weights made part of the tensors: a LoRA that does at strength 1 what the weighted one did.

A layer at 1 stays bit for bit as it is, a layer at 0 is left out, and of the others the tensors that the change is a
multiple of are multiplied (see `Algorithm.scaled`), in double precision and rounded once to the file's own dtype. What
a DoRA or OFT layer does at half strength is no DoRA or OFT layer; such a layer becomes a full difference, for which
the weights of the base model are needed.
"""
from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor

from lib_trainer.errors import Lacking, UserError
from lib_trainer.lora import keys
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry

T = TypeVar("T")

BaseWeight = Callable[[str], Tensor]
"""Kohya layer name -> the base model's weight of it; raises UserError where it has none."""

NOT_LAYERS = ("bundle_emb",)
"""Beginnings of tensor names that belong to no layer: embeddings that travel with the LoRA."""


@dataclass
class Baked:
    """The new LoRA.

    Attributes:
        tensors: all of it, CPU.
        untouched, scaled, dropped, rewritten: layer names by what became of them; rewritten = now a full difference.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    untouched: list[str] = field(default_factory=list)
    scaled: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """How many layers the new LoRA has."""
        return len(self.untouched) + len(self.scaled) + len(self.rewritten)


def layers_of(tensors: Iterable[str]) -> list[str]:
    """Returns the layer names among tensor names, each once."""
    return [layer for layer in keys.by_layer(dict.fromkeys(tensors)) if layer not in NOT_LAYERS]


def at_once(steps: Generator[tuple[int, int], None, T]) -> T:
    """Goes through all steps and returns what they come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def bake(state: Mapping[str, Tensor], multipliers: Mapping[str, float], base: BaseWeight | None = None) -> Baked:
    """Makes the weighted LoRA at once; as `layer_by_layer`."""
    return at_once(layer_by_layer(state, multipliers, base))


def layer_by_layer(
    state: Mapping[str, Tensor], multipliers: Mapping[str, float], base: BaseWeight | None = None
) -> Generator[tuple[int, int], None, Baked]:
    """Makes the weighted LoRA; yields (layers done, of how many), and may be closed there.

    Args:
        state: the LoRA's tensors, of any kinds.
        multipliers: by layer name as the file spells it; a layer that is not named keeps 1.
        base: the base model's weights, for layers that cannot be scaled as what they are.

    Raises:
        UserError: a layer cannot be weighted (which, why, and what to do), or no layer is left.
    """
    baked = Baked()
    grouped = keys.by_layer(state)
    _refuse_unscalable(grouped, multipliers, base)
    for done, (layer, parts) in enumerate(grouped.items()):
        yield done, len(grouped)
        for part, tensor in _baked_layer(layer, parts, multipliers, base, baked).items():
            baked.tensors[f"{layer}.{part}"] = tensor
    if not baked.kept:
        raise UserError("The weights leave nothing of the LoRA: every layer that it has would be at 0. "
                        "Choose weights that keep at least one of its blocks.")
    return baked


def _baked_layer(
    layer: str, parts: dict[str, Tensor], multipliers: Mapping[str, float], base: BaseWeight | None, baked: Baked
) -> dict[str, Tensor]:
    if layer in NOT_LAYERS:
        return parts
    factor = multipliers.get(layer, 1.0)
    if factor == 1.0:
        baked.untouched.append(layer)
        return parts
    if factor == 0.0:
        baked.dropped.append(layer)
        return {}
    if _is_multiple(parts):
        baked.scaled.append(layer)
        return {part: _times(tensor, factor, f"{layer}.{part}") if part in multiplied_parts(parts) else tensor
                for part, tensor in parts.items()}
    assert base is not None  # refused before
    baked.rewritten.append(layer)
    return _difference(layer, parts, factor, base(keys.canonical(layer)))


def _is_multiple(parts: Mapping[str, Tensor]) -> bool:
    """Whether a multiple of this layer's change is a layer of the same kind."""
    algorithm = registry.find(parts)
    if registry.unknown(parts):
        return False
    if algorithm is None:
        return registry.has_bias(parts)
    return bool(algorithm.scaled) and registry.DORA_SCALE not in parts


def multiplied_parts(parts: Mapping[str, Tensor]) -> set[str]:
    """Returns the tensors of a layer that are multiplied to multiply its change."""
    algorithm = registry.find(parts)
    own = next((names for names in algorithm.scaled if all(name in parts for name in names)), ()) if algorithm else ()
    return {*own, *registry.BIASES, layer_parts.BIAS, "bias_values"}


def _times(tensor: Tensor, factor: float, name: str) -> Tensor:
    scaled = (tensor.double() * factor).to(tensor.dtype)
    if bool(tensor.float().isfinite().all()) and not bool(scaled.float().isfinite().all()):
        raise UserError(f"The tensor '{name}' times {factor:g} is too great for its dtype "
                        f"({str(tensor.dtype).removeprefix('torch.')}). Use a lower strength.")
    return scaled.contiguous()


def _difference(layer: str, parts: Mapping[str, Tensor], factor: float, weight: Tensor) -> dict[str, Tensor]:
    """Returns the layer as a full difference, in the dtype of its own tensors."""
    change = registry.change(layer, layer_parts.read(parts), weight)
    dtype = next(tensor.dtype for part, tensor in parts.items()
                 if part not in layer_parts.NUMBERS and tensor.is_floating_point())
    found = {"diff": change.weight, "diff_b": change.bias}
    return {part: _times(tensor, factor, f"{layer}.{part}").to(dtype)
            for part, tensor in found.items() if tensor is not None}


def _refuse_unscalable(
    grouped: Mapping[str, Mapping[str, Tensor]], multipliers: Mapping[str, float], base: BaseWeight | None
) -> None:
    """Tells all layers that cannot be written, before any work is done.

    Raises:
        UserError: there are some.
    """
    fractions = {layer: parts for layer, parts in grouped.items()
                 if layer not in NOT_LAYERS and multipliers.get(layer, 1.0) not in (0.0, 1.0)}
    strange = {layer: registry.unknown(parts) for layer, parts in fractions.items() if registry.unknown(parts)}
    if strange:
        layer, unknown = next(iter(strange.items()))
        raise UserError(f"{_count(strange)} with tensors of an unknown kind, such as '{layer}.{unknown[0]}', would be "
                        "weighted, and what a part of them is nobody knows. Give their blocks 0 or 1.")
    stuck = [layer for layer, parts in fractions.items() if not _is_multiple(parts)]
    if stuck and base is None:
        kinds = sorted({_kind(fractions[layer]) for layer in stuck})
        raise Lacking("base", [
            f"{_count(stuck)} of the kind {' and '.join(kinds)}, such as '{stuck[0]}', would be weighted with "
            f"{multipliers[stuck[0]]:g}. A part of such a change is no {' or '.join(kinds)} again: it can only be "
            "written as a full difference, for which the base checkpoint is needed. Name it, or give these blocks 0 or "
            "1."
        ])


def _kind(parts: Mapping[str, Tensor]) -> str:
    if registry.DORA_SCALE in parts:
        return "DoRA"
    return "BOFT" if "oft_blocks" in parts and parts["oft_blocks"].dim() == 4 else "OFT"


def _count(layers: Iterable[str]) -> str:
    number = len(list(layers))
    return "1 layer" if number == 1 else f"{number} layers"
