"""Makes the layers of a network that is trained: fresh ones, and those of a file to continue with.

A layer of plain LoRA, LoRA-FA or DyLoRA acts on the activations through its thin matrices; every other one works out
the change of the weight (`WeightLayer`), and so does a LoRA with DoRA lengths.
"""
from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.host_model import Target
from lib_trainer.lora import keys, layers
from lib_trainer.lora.adapters.dynamic import DyLoraLayer
from lib_trainer.lora.adapters.facts import FACTS, RS
from lib_trainer.lora.adapters.form import Form
from lib_trainer.lora.adapters.fresh import FRESH, Factors, Start, lengths
from lib_trainer.lora.adapters.kinds import KINDS
from lib_trainer.lora.adapters.weight_layer import SCALAR, WeightLayer
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.algorithms.parts import ALPHA, NUMBERS, ON_INPUT
from lib_trainer.lora.changes import own_weight

Trainable = layers.LoraLayer | DyLoraLayer | WeightLayer
"""A layer of a network that is trained."""

_THIN = ("lora", "lora_fa", "dylora")
"""Kinds whose files are plain LoRA."""

NORM = "norm"


def create(
    target: Target, algorithm: str, rank: int, alpha: float, form: Form, generator: torch.Generator,
    on_input: bool = False,
) -> Trainable:
    """Makes a layer that changes nothing yet.

    Args:
        target: the layer to adapt; for DoRA its weight is read.
        algorithm: a key of `facts.FACTS`, or "norm".
        rank: inner dimension >= 1 (size or number of OFT's blocks); kinds without one ignore it.
        alpha: strength scale; kinds without one ignore it.
        form: the network's settings.
        generator: CPU generator that belongs to this layer.
        on_input: whether (IA)^3 scales this layer's inputs.

    Raises:
        UserError: the layer cannot be made so.
    """
    weight = own_weight(target)
    has_bias = target.rows is None and getattr(target.module, "bias", None) is not None
    start = Start(target.name, tuple(weight.shape), has_bias, rank, form, generator, on_input)
    factors = FRESH[algorithm](start)
    if algorithm in _THIN and not form.dora:
        scalar = torch.zeros(()) if form.scalar else None
        factors[ALPHA] = torch.tensor(_alpha(algorithm, rank, alpha, form), dtype=torch.float64)
        return _thin(target, factors, algorithm, form, scalar)
    kind = KINDS[NORM if algorithm == NORM else FACTS[algorithm].file_kind]
    if form.scalar and algorithm in ("lora", "loha", "lokr", "glora"):
        factors[SCALAR] = torch.zeros(())
    if form.dora and algorithm in ("lora", "loha", "lokr"):
        factors[registry.DORA_SCALE] = lengths(weight, form.dora_on_output)
    return WeightLayer(target, kind, factors, _stored_alpha(algorithm, factors, rank, alpha, form), on_input)


def from_parts(target: Target, parts: Mapping[str, Tensor], algorithm: str = "lora", unit: int = 1) -> Trainable:
    """Makes a layer from its tensors in a file, to be trained on.

    Args:
        target: the layer to adapt.
        parts: the tensors by part name, any dtype.
        algorithm: "lora", "lora_fa" or "dylora": how a layer of plain LoRA is trained on; of others the file decides.
        unit: of DyLoRA.

    Raises:
        UserError: the layer is half there, does not fit, or cannot be trained on.
    """
    known = registry.find(parts)
    if known is None and any(part in parts for part in registry.HALF_OF_LORA):
        layers.from_parts(target, parts)  # tells which half is missing
    if known is None or "oft_diag" in parts:
        raise UserError(
            f"The LoRA's layer '{target.name}' has the tensors {', '.join(sorted(parts))}, which cannot be trained on. "
            "Continue from another file."
        )
    wanted = _trainable_parts(known)
    if known.name == "lora" and not wanted.intersection(parts) - set(keys.LORA_PARTS):
        return _thin(target, parts, algorithm, Form(unit=unit))
    factors = {part: tensor.detach().float().clone() for part, tensor in parts.items() if part in wanted - {*NUMBERS}}
    side = bool(float(parts[ON_INPUT])) if ON_INPUT in parts else False
    return WeightLayer(target, KINDS[known.name], factors, float(parts[ALPHA]) if ALPHA in parts else None, side)


def set_alpha(layer: Trainable, alpha: float) -> None:
    """Gives a layer another alpha, its factors multiplied so that it does what it did."""
    if layer.alpha is None or layer.rank is None or alpha == layer.alpha:
        return
    layer.scale_by(torch.tensor(layer.alpha / alpha))
    layer.alpha = alpha
    if not isinstance(layer, WeightLayer):
        layer.scale = alpha / layer.rank


def _thin(
    target: Target, parts: Mapping[str, Tensor], algorithm: str, form: Form, scalar: Tensor | None = None
) -> layers.LoraLayer | DyLoraLayer:
    """Makes a layer of plain LoRA's tensors.

    Raises:
        UserError: they do not fit the model's layer, or DyLoRA's units do not fit the rank.
    """
    made = layers.from_parts(target, parts, scalar, frozen=algorithm == "lora_fa")
    if algorithm != "dylora":
        return made
    if made.mid is not None or made.rank % form.unit:
        reason = "is Tucker-decomposed" if made.mid is not None else f"has the rank {made.rank}"
        raise UserError(f"The layer '{target.name}' {reason} and cannot be trained as DyLoRA in units of {form.unit}: "
                        "choose a unit that divides the rank, or algorithm = lora.")
    return DyLoraLayer(target, made.down.detach(), made.up.detach(), made.alpha, form.unit)


def _trainable_parts(known: registry.Algorithm) -> frozenset[str]:
    """Returns the parts that training can go on with; a stored rest (`bias`) is none."""
    return (known.parts - registry.EVERYWHERE) | {ALPHA, ON_INPUT, registry.DORA_SCALE, *registry.BIASES}


def _alpha(algorithm: str, rank: int, alpha: float, form: Form) -> float:
    """Returns the alpha that a file stores; with rs-LoRA times sqrt(rank), so that alpha / rank is alpha / sqrt(r)."""
    return alpha * math.sqrt(rank) if form.rs_lora and RS in FACTS[algorithm].takes else alpha


def _stored_alpha(algorithm: str, factors: Factors, rank: int, alpha: float, form: Form) -> float | None:
    """Returns the alpha of a layer that changes the whole weight.

    It is the bound of the rotation for OFT; of LoKr with both halves whole it means nothing, and the rank is stored,
    as LyCORIS does.
    """
    if algorithm in ("oft", "boft"):
        return form.constraint
    if algorithm == "oft_kohya":
        return alpha
    if algorithm in ("ia3", "full", NORM):
        return None
    if algorithm == "lokr" and "lokr_w1" in factors and "lokr_w2" in factors:
        return float(rank)
    return _alpha(algorithm, rank, alpha, form)
