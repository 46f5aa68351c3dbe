"""All kinds of network: how a layer of a file is recognised, which tensors it has, what it does to a weight.

`change` gives f(W) - W at full strength; a strength m always means W + m (f(W) - W), as AUTOMATIC1111 and Forge apply
it, so 0 is nothing at all and the kinds that depend on W (DoRA, OFT, GLoRA, (IA)3) scale like the others. Several
networks on one layer add up, each computed from the model's own weight.
"""
from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora.algorithms import decomposed, direct, kronecker, low_rank, orthogonal
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms.parts import Parts

DORA_SCALE = "dora_scale"
BIASES = ("diff_b", "b_norm")
"""Differences of the layer's bias; beside any kind."""

HALF_OF_LORA = ("lora_up.weight", "lora_down.weight")

EVERYWHERE = frozenset({
    *layer_parts.NUMBERS, layer_parts.BIAS, *layer_parts.SPARSE_BIAS, DORA_SCALE, *BIASES,
})
"""Parts that any kind may have beside its own."""


def _no_rank(parts: Parts) -> None:
    return None


@dataclass(frozen=True)
class Algorithm:
    """One kind.

    Attributes:
        name: as `keys.algorithm` and people call it.
        marks: sets of parts; a layer that has all of one set is of this kind.
        optional: further parts that it reads.
        scaled: sets of parts; multiplying all of the first set that is there multiplies the change. Empty: the change
            is no multiple of any of its tensors, so only 0 and 1 times of it can be written as the same kind.
        product: (parts, weight float32) -> the change before alpha / rank, with as many entries as the weight.
        rank: parts -> what alpha is divided by; None = alpha does not scale this layer.
    """

    name: str
    marks: tuple[tuple[str, ...], ...]
    product: Callable[[Parts, Tensor], Tensor]
    rank: Callable[[Parts], int | None] = _no_rank
    optional: tuple[str, ...] = ()
    scaled: tuple[tuple[str, ...], ...] = ()

    @property
    def parts(self) -> frozenset[str]:
        """Every part that this kind reads."""
        return EVERYWHERE.union(*self.marks, self.optional)


ALGORITHMS = (
    Algorithm("lora", (("lora_up.weight", "lora_down.weight"),), low_rank.lora, low_rank.lora_rank,
              ("lora_mid.weight",), (("lora_up.weight",),)),
    Algorithm("loha", (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),), low_rank.loha, low_rank.loha_rank,
              ("hada_t1", "hada_t2"), (("hada_w1_a",),)),
    Algorithm("lokr", tuple((*first, *second) for first in (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b"))
                            for second in (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"))),
              kronecker.lokr, kronecker.lokr_rank, ("lokr_t2",), (("lokr_w1",), ("lokr_w1_a",))),
    Algorithm("glora", (("a1.weight", "a2.weight", "b1.weight", "b2.weight"),), low_rank.glora, low_rank.glora_rank,
              ("bm.weight",), (("a1.weight", "b1.weight"),)),
    Algorithm("oft", (("oft_blocks",), ("oft_diag",)), orthogonal.oft, optional=("rescale",)),
    Algorithm("ia3", (("weight", "on_input"),), direct.ia3, scaled=(("weight",),)),
    Algorithm("full", (("diff",),), direct.difference, scaled=(("diff",),)),
    Algorithm("norm", (("w_norm",),), direct.norm, scaled=(("w_norm",),)),
)


@dataclass(frozen=True)
class Change:
    """What a layer of a network does at full strength: f(W) - W of the weight, and of the bias; None = nothing."""

    weight: Tensor | None
    bias: Tensor | None


def find(parts: Collection[str]) -> Algorithm | None:
    """Returns the kind of a layer by its parts; None: it has no known kind (it may still have a bias)."""
    for algorithm in ALGORITHMS:
        if any(all(part in parts for part in mark) for mark in algorithm.marks):
            return algorithm
    return None


def unknown(parts: Collection[str]) -> list[str]:
    """Returns the parts of a layer that nothing here reads, so that nobody believes they act."""
    algorithm = find(parts)
    if algorithm is None:
        return [part for part in parts if not (has_bias(parts) and part in (*BIASES, *layer_parts.NUMBERS))]
    known = algorithm.parts
    return [part for part in parts if part not in known]


def has_bias(parts: Collection[str]) -> bool:
    """Whether a layer changes the bias of the model's layer."""
    return any(part in parts for part in BIASES)


def acts(parts: Collection[str]) -> bool:
    """Whether a layer is to be applied: it has a known kind, or half of a LoRA, which is told as a damaged file."""
    return find(parts) is not None or has_bias(parts) or any(part in parts for part in HALF_OF_LORA)


def change(name: str, parts: Parts, weight: Tensor) -> Change:
    """Returns what a layer does at full strength.

    Args:
        name: kohya layer name, for the sentence.
        parts: the layer's tensors, on the weight's device.
        weight: the model's own weight (outputs, inputs[, k, k]), or (channels) of a norm. Where it is float64 (and the
            parts are, `Parts.to_double`) the change is worked out in that, else in float32.

    Raises:
        UserError: the tensors do not fit the weight, or nothing in them is known.
    """
    algorithm = find(parts.names)
    biases = [parts[part] for part in BIASES if part in parts.names]
    if algorithm is None and not biases:
        raise UserError(f"The LoRA's layer '{name}' has the tensors {', '.join(sorted(parts.names))}, which are of "
                        "no known kind of network. Use LoRA, LoCon, LoHa, LoKr, GLoRA, OFT, (IA)3 or a difference.")
    try:
        delta = None if algorithm is None else _weight_change(algorithm, parts, _wide(weight))
    except (RuntimeError, IndexError) as error:
        shapes = ", ".join(f"{part} {list(tensor.shape)}" for part, tensor in parts.tensors.items())
        raise UserError(
            f"The LoRA's layer '{name}' ({shapes}) does not fit the loaded model, whose weight is "
            f"{list(weight.shape)}: the LoRA was made for another kind of model. Load the checkpoint it was trained "
            "on, or choose another LoRA."
        ) from error
    return Change(delta, sum(biases[1:], biases[0]).flatten() if biases else None)


def _wide(weight: Tensor) -> Tensor:
    return weight if weight.dtype == torch.float64 else weight.float()


def _weight_change(algorithm: Algorithm, parts: Parts, weight: Tensor) -> Tensor:
    delta = algorithm.product(parts, weight).reshape(weight.shape)
    rest, dora_scale = parts.get(layer_parts.BIAS), parts.get(DORA_SCALE)
    if rest is not None:
        delta = delta + rest.reshape(weight.shape)
    delta = delta * parts.factor(algorithm.rank(parts))
    return delta if dora_scale is None else decomposed.decomposed(weight, delta, dora_scale)
