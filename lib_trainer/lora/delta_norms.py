"""How much a LoRA changes one layer: the Frobenius norm of its weight delta, worked out without the base weight.

`lora/algorithms` says what each kind does. Where the delta is a product of factors, only Gram matrices of rank size
are formed: ||U D||_F^2 = tr(U^T U  D D^T). Some kinds need the base weight for their exact delta; what is given for
those is named an approximation:

* DoRA: the delta before the layer's magnitude is set anew.
* OFT: ||R - 1||, as if the base weight were the identity; GLoRA (its factor on the base weight) and IA3 likewise.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora.algorithms import orthogonal, registry
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms.parts import Parts

_NEEDING_THE_BASE = ("glora", "oft", "ia3")


@dataclass(frozen=True)
class Measured:
    """The size of one layer's change.

    Attributes:
        squared: square of the delta's Frobenius norm, that of the bias included, >= 0.
        exact: whether it is the norm itself; False = an approximation.
    """

    squared: float
    exact: bool = True


def measure(stored: Mapping[str, Tensor]) -> Measured | None:
    """Measures a layer.

    Args:
        stored: its tensors by part name ("lora_down.weight", "alpha"), any float dtype.

    Returns:
        the size of its change; None for a kind that is not known, and for factors that are missing or do not fit.
    """
    try:
        parts = layer_parts.read(stored)
        algorithm = registry.find(parts.names)
        biases = [_square(parts[part]) for part in registry.BIASES if part in parts.names]
        if algorithm is None and not biases:
            return None
        squared = sum(biases, _weight(algorithm, parts) if algorithm else 0.0)
    except (UserError, KeyError, IndexError, RuntimeError):  # a factor is missing; shapes do not fit
        return None
    rough = registry.DORA_SCALE in parts.names or (algorithm is not None and algorithm.name in _NEEDING_THE_BASE)
    return Measured(squared, exact=not rough)


def _weight(algorithm: registry.Algorithm, parts: Parts) -> float:
    """The weight's part; a file that stores a rest beside its factors has them multiplied out: one host weight."""
    scale = parts.factor(algorithm.rank(parts)) ** 2
    rest = parts.get(layer_parts.BIAS)
    if rest is not None:
        return scale * _square(_multiplied_out(algorithm, parts).flatten() + rest.flatten())
    formula = _FORMULAS.get(algorithm.name)
    return scale * (formula(parts) if formula else _square(_multiplied_out(algorithm, parts)))


def _multiplied_out(algorithm: registry.Algorithm, parts: Parts) -> Tensor:
    """The change before alpha / rank, for the kinds that do not look at the base weight."""
    return algorithm.product(parts, torch.empty(0))


def _square(tensor: Tensor) -> float:
    return float(tensor.square().sum())


def _product(left: Tensor, right: Tensor) -> float:
    """||L R||_F^2 of (m, r) and (r, n), by the smaller way: Gram matrices (r, r)."""
    return float(((left.T @ left) * (right @ right.T)).sum())


def _tucker(core: Tensor, outer: Tensor, inner: Tensor) -> float:
    """||sum_rs C[r,s,k] O[o,r] I[s,i]||_F^2 over (o, i, k) of a core (r, s, k, k)."""
    flat = core.flatten(2)
    return float(torch.einsum("ac,cdk,de,aek->", outer.T @ outer, flat, inner @ inner.T, flat))


def _lora(parts: Parts) -> float:
    up, down, core = parts.matrix("lora_up.weight"), parts.matrix("lora_down.weight"), parts.get("lora_mid.weight")
    return _product(up, down) if core is None else _tucker(core, up, down)


def _lokr(parts: Parts) -> float:
    """||A kron B||_F = ||A||_F ||B||_F."""
    return _lokr_half(parts, "1") * _lokr_half(parts, "2")


def _lokr_half(parts: Parts, number: str) -> float:
    whole, core = parts.get(f"lokr_w{number}"), parts.get(f"lokr_t{number}")
    if whole is not None:
        return _square(whole)
    a, b = parts[f"lokr_w{number}_a"], parts.matrix(f"lokr_w{number}_b")
    return _product(a, b) if core is None else _tucker(core, a.T, b)


def _oft(parts: Parts) -> float:
    """||R - 1||_F^2 of all its rotations; their order and `rescale` do not count."""
    blocks = parts.get("oft_blocks")
    if blocks is None:
        turned = parts["oft_diag"]
    else:
        outputs = blocks.shape[-3] * blocks.shape[-1]
        turned = orthogonal.rotations(blocks, parts, torch.empty(outputs, 0))
    return _square(turned - torch.eye(turned.shape[-1]))


def _glora(parts: Parts) -> float:
    """Delta = W A + B, taken as ||A||_F^2 + ||B||_F^2."""
    core = parts.get("bm.weight")
    added = _tucker(core, *_in_order(parts, "b")) if core is not None else _product(*_in_order(parts, "b"))
    return _product(*_in_order(parts, "a")) + added


def _in_order(parts: Parts, name: str) -> tuple[Tensor, Tensor]:
    """The factors (m, r) and (r, n): files name them either way about, the rank is the shorter side."""
    first, second = parts.matrix(f"{name}1.weight"), parts.matrix(f"{name}2.weight")
    fits, turned = first.shape[1] == second.shape[0], second.shape[1] == first.shape[0]
    return (first, second) if fits and not (turned and first.shape[0] < first.shape[1]) else (second, first)


def _ia3(parts: Parts) -> float:
    return _square(parts["weight"])


_FORMULAS: dict[str, Callable[[Parts], float]] = {
    "lora": _lora, "lokr": _lokr, "oft": _oft, "glora": _glora, "ia3": _ia3,
}
"""Kinds whose delta need not be multiplied out, or cannot be without the base weight."""
