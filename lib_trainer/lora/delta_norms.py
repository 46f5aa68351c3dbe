"""How much a LoRA changes one layer: the Frobenius norm of its weight delta, worked out without the base weight.

`lora/layers.py` says what the delta of a LoRA is; LoHa and LoKr are those of LyCORIS (Yeh et al. 2023, eq. 5 and 8).
Where the delta is a product, only Gram matrices of rank size are formed: ||U D||_F^2 = tr(U^T U  D D^T). Some kinds
need the base weight for their exact delta; what is given for those is named an approximation:

* DoRA: the delta before the layer's magnitude is set anew.
* OFT: ||R - 1||, as if the base weight were the identity; GLoRA (its factor on the base weight) and IA3 likewise.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_trainer.lora import keys

if TYPE_CHECKING:
    from torch import Tensor

    Parts = Mapping[str, Tensor]


@dataclass(frozen=True)
class Measured:
    """The size of one layer's change.

    Attributes:
        squared: square of the delta's Frobenius norm, >= 0.
        exact: whether it is the norm itself; False = an approximation.
    """

    squared: float
    exact: bool = True


def measure(parts: Parts) -> Measured | None:
    """Measures a layer.

    Args:
        parts: its tensors by part name ("lora_down.weight", "alpha"), any float dtype.

    Returns:
        the size of its change; None for a kind that is not known, and for factors that are missing or do not fit.
    """
    wide = {name: tensor.float() for name, tensor in parts.items()}
    formula = next((formula for mark, formula in _FORMULAS if any(name.startswith(mark) for name in wide)), None)
    added = [_square(wide[name]) for name in _ADDED if name in wide]
    if formula is None and not added:
        return None
    try:
        squared = sum(added, formula(wide) if formula else 0.0)
    except (KeyError, RuntimeError):  # a factor is missing; shapes do not fit
        return None
    return Measured(squared, exact=not any(name.startswith(_APPROXIMATED) for name in wide))


def _square(tensor: Tensor) -> float:
    return float(tensor.square().sum())


def _scale(parts: Parts, rank: int) -> float:
    """alpha / rank; 1 where the file stores no alpha."""
    return float(parts[keys.ALPHA]) / rank if keys.ALPHA in parts else 1.0


def _product(left: Tensor, right: Tensor) -> float:
    """||L R||_F^2 of (m, r) and (r, n), by the smaller way: Gram matrices (r, r)."""
    return float(((left.T @ left) * (right @ right.T)).sum())


def _lora(parts: Parts) -> float:
    down, up = parts[keys.DOWN], parts[keys.UP].flatten(1)
    scale = _scale(parts, down.shape[0])
    if keys.MID in parts:
        return scale**2 * _tucker(up, parts[keys.MID].flatten(2), down.flatten(1))
    return scale**2 * _product(up, down.flatten(1))


def _tucker(up: Tensor, middle: Tensor, down: Tensor) -> float:
    """||sum_ab U[o,a] M[a,b,k] D[b,i]||_F^2 over (o, i, k)."""
    import torch

    return float(torch.einsum("ac,cdk,de,aek->", up.T @ up, middle, down @ down.T, middle))


def _loha(parts: Parts) -> float:
    """The two products are multiplied number by number, so they are formed: the memory of two host weights."""
    first, second = _loha_factor(parts, 1), _loha_factor(parts, 2)
    return _scale(parts, parts["hada_w1_b"].shape[0]) ** 2 * _square(first * second)


def _loha_factor(parts: Parts, number: int) -> Tensor:
    import torch

    a, b, core = parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"], parts.get(f"hada_t{number}")
    if core is None:
        return a.flatten(1) @ b.flatten(1)
    return torch.einsum("abk,bj,ai->ijk", core.flatten(2), b, a)


def _lokr(parts: Parts) -> float:
    """||A kron B||_F = ||A||_F ||B||_F."""
    ranks = [parts[name].shape[0] for name in ("lokr_w1_b", "lokr_w2_b") if name in parts]
    scale = _scale(parts, ranks[0]) if ranks else 1.0
    return scale**2 * _lokr_factor(parts, 1) * _lokr_factor(parts, 2)


def _lokr_factor(parts: Parts, number: int) -> float:
    whole = parts.get(f"lokr_w{number}")
    if whole is not None:
        return _square(whole)
    a, b = parts[f"lokr_w{number}_a"], parts[f"lokr_w{number}_b"]
    core = parts.get(f"lokr_t{number}")
    return _product(a, b.flatten(1)) if core is None else _tucker(a.T, core.flatten(2), b)


def _oft(parts: Parts) -> float:
    """||R - 1||_F^2 of the rotations R = (1 + Q)(1 - Q)^-1, the Cayley transform of Q = B - B^T."""
    import torch

    total = 0.0
    for name, tensor in parts.items():
        if not name.startswith("oft_blocks"):
            continue
        blocks = tensor.reshape(-1, *tensor.shape[-2:])
        skew, one = blocks - blocks.transpose(1, 2), torch.eye(blocks.shape[-1])
        total += _square(torch.linalg.solve(one - skew, one + skew) - one)
    return total


def _glora(parts: Parts) -> float:
    """Delta = W A + B; files order the factors either way, the rank is the smaller side."""
    total = 0.0
    for name in ("a", "b"):
        first, second = (parts[f"{name}{number}.weight"].flatten(1) for number in (1, 2))
        left, right = (first, second) if first.shape[1] == second.shape[0] else (second, first)
        total += _scale(parts, min(left.shape)) ** 2 * _product(left, right)
    return total


def _ia3(parts: Parts) -> float:
    return _square(parts["weight"])


_FORMULAS: tuple[tuple[str, Callable[[Parts], float]], ...] = (
    (keys.DOWN, _lora), ("hada_w1_a", _loha), ("lokr_w", _lokr), ("oft_blocks", _oft), ("a1.weight", _glora),
    ("on_input", _ia3),
)
"""Beginning of a part's name -> the formula of its kind."""

_APPROXIMATED = ("dora_scale", "oft_blocks", "a1.weight", "on_input")
_ADDED = ("diff", "diff_b", "w_norm", "b_norm")
"""Parts that are differences themselves: full weights and biases, norms."""
