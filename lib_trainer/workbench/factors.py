"""What one layer of a LoRA does, as thin factors wherever its kind has them, and dense otherwise; in double precision.

A product of a (outputs, r) and a (r, inputs) matrix can be added to others by putting them side by side: nothing is
lost and little is stored. LoRA is such a product, and three other kinds are one in disguise:

* Tucker kernels: the core goes into the inner factor (arXiv:2309.14859, app. B); rank r.
* LoHa, (A B) * (C D) entry by entry: the row-wise Khatri-Rao products of A with C and of B with D; rank r^2 (FedPara,
  arXiv:2108.06098, proposition 1).
* LoKr, A kron B: (L1 R1) kron (L2 R2) = (L1 kron L2) (R1 kron R2), a whole matrix being itself times the identity.

GLoRA's W A + B is one of rank 2 r for a matrix W. DoRA, OFT and (IA)3 change every entry of W.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora import keys
from lib_trainer.lora.algorithms import low_rank, registry
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms.parts import Parts
from lib_trainer.lora.bake import BaseWeight

_OF_THE_BASE = ("glora", "oft", "ia3")


@dataclass(frozen=True)
class Product:
    """A product of two thin matrices.

    Attributes:
        up: (outputs, r). down: (r, inputs * kernel). Both float64, on one device.
        shape: of the weight that it changes, (outputs, inputs, *kernel); a file may hide the kernel: (outputs, all).
    """

    up: Tensor
    down: Tensor
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Checks that the two have the same rank.

        Raises:
            ValueError: they have not.
        """
        if self.up.shape[1] != self.down.shape[0]:
            raise ValueError(f"{list(self.up.shape)} times {list(self.down.shape)}")

    @property
    def rank(self) -> int:
        """The inner dimension."""
        return self.up.shape[1]

    def dense(self) -> Tensor:
        """Returns the product, (outputs, inputs * kernel)."""
        return self.up @ self.down


@dataclass(frozen=True)
class Term:
    """What a layer of one LoRA adds at strength 1; all tensors float64.

    Attributes:
        product: the weight's change as factors, to be multiplied with `scale`; None = it has none.
        dense: the weight's change as it is, in the weight's shape ((channels) of a norm); None = it has none.
        bias: the bias' change, (outputs); None = it has none.
        scale: alpha / rank.
        is_norm: whether the layer is a norm.
    """

    product: Product | None = None
    dense: Tensor | None = None
    bias: Tensor | None = None
    scale: float = 1.0
    is_norm: bool = False


def needs_base(names: Collection[str]) -> bool:
    """Whether what a layer does depends on the weight of the base model, by the names of its parts."""
    algorithm = registry.find(names)
    return algorithm is not None and (algorithm.name in _OF_THE_BASE or registry.DORA_SCALE in names)


def term(
    layer: str, stored: Mapping[str, Tensor], base: BaseWeight | None = None, device: torch.device | str = "cpu"
) -> Term:
    """Works out what a layer does.

    Args:
        layer: kohya layer name. stored: its tensors by part, of a known kind or with a bias.
        base: the base model's weights; needed where `needs_base` says so.
        device: where to compute.

    Raises:
        UserError: the tensors hold no numbers, or do not fit each other or the base model's weight.
    """
    parts = layer_parts.read(stored, device).to_double()
    require_numbers(layer, parts)
    if needs_base(parts.names):
        assert base is not None  # refused before
        return _with_base(layer, parts, base(keys.canonical(layer)).to(device, torch.float64))
    try:
        return _by_itself(parts)
    except (RuntimeError, IndexError, KeyError, ValueError) as error:
        shapes = ", ".join(f"{part} {list(tensor.shape)}" for part, tensor in stored.items())
        raise UserError(f"The tensors of the LoRA's layer '{layer}' ({shapes}) do not fit each other: the file is "
                        "damaged, or was written by a program with another kind of network. Use an intact copy."
                        ) from error


def _by_itself(parts: Parts) -> Term:
    algorithm, bias = registry.find(parts.names), _bias(parts)
    if algorithm is None:
        return Term(bias=bias, is_norm="b_norm" in parts.names)
    scale, rest = parts.factor(algorithm.rank(parts)), parts.get(layer_parts.BIAS)
    if algorithm.name not in _PRODUCTS:
        dense = algorithm.product(parts, torch.empty(0))
        added = dense if rest is None else dense + rest.reshape(dense.shape)
        return Term(None, added * scale, bias, is_norm=algorithm.name == "norm")
    product = _PRODUCTS[algorithm.name](parts)
    if rest is None:
        return Term(product, None, bias, scale)
    whole = rest.shape if rest.dim() > len(product.shape) else product.shape
    return Term(None, ((product.dense() + rest.flatten(1)) * scale).reshape(whole), bias)


def _with_base(layer: str, parts: Parts, weight: Tensor) -> Term:
    """Works out a layer that depends on the base model's weight (outputs, inputs, *kernel)."""
    change = registry.change(layer, parts, weight)  # also finds out whether the shapes fit
    is_product = weight.dim() == 2 and not {"bm.weight", registry.DORA_SCALE, layer_parts.BIAS} & parts.names
    if is_product and "a1.weight" in parts.names:
        return Term(_glora(parts, weight), None, change.bias, parts.factor(low_rank.glora_rank(parts)))
    return Term(None, change.weight, change.bias)


def _bias(parts: Parts) -> Tensor | None:
    found = [parts[part].flatten() for part in registry.BIASES if part in parts.names]
    return sum(found[1:], found[0]) if found else None


def require_numbers(layer: str, parts: Parts) -> None:
    """Refuses what would make a file of numbers that are none.

    Args:
        layer: kohya layer name, for the sentence. parts: its tensors.

    Raises:
        UserError: a tensor, or alpha, holds something that is no number.
    """
    numbers = {"alpha": parts.alpha, "scale": parts.scale}
    broken = [part for part, tensor in parts.tensors.items() if not bool(tensor.isfinite().all())] + [
        name for name, number in numbers.items() if number is not None and not math.isfinite(number)]
    if broken:
        raise UserError(f"The LoRA's tensor '{layer}.{broken[0]}' has entries that are infinite or no numbers, which a "
                        "training that went wrong leaves behind. Nothing can be computed with it: use an earlier save.")


def _lora(parts: Parts) -> Product:
    up, down, core = parts.matrix("lora_up.weight"), parts["lora_down.weight"], parts.get("lora_mid.weight")
    if core is None:
        return Product(up, down.flatten(1), (up.shape[0], *down.shape[1:]))
    return _tucker(core, up, down.flatten(1))


def _tucker(core: Tensor, outer: Tensor, inner: Tensor) -> Product:
    """Returns outer (outputs, r) times core (r, s, k, k) times inner (s, inputs), the core taken into the inner."""
    down = torch.einsum("rskl,si->rikl", core, inner)
    return Product(outer, down.flatten(1), (outer.shape[0], *down.shape[1:]))


def _loha(parts: Parts) -> Product:
    first, second = _loha_half(parts, "1"), _loha_half(parts, "2")
    up = torch.einsum("or,os->ors", first.up, second.up).flatten(1)
    down = torch.einsum("ri,si->rsi", first.down, second.down).flatten(0, 1)
    return Product(up, down, first.shape)


def _loha_half(parts: Parts, number: str) -> Product:
    a, b, core = parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"], parts.get(f"hada_t{number}")
    return Product(a, b.flatten(1), (a.shape[0], *b.shape[1:])) if core is None else _tucker(core, a.T, b)


def _lokr(parts: Parts) -> Product:
    first, second = _lokr_half(parts, "1"), _lokr_half(parts, "2")
    shape = (first.shape[0] * second.shape[0], first.shape[1] * second.shape[1], *second.shape[2:])
    return Product(_kron(first.up, second.up), _kron(first.down, second.down), shape)


def _kron(first: Tensor, second: Tensor) -> Tensor:
    """Returns the Kronecker product; torch's own needs entries that lie side by side."""
    return torch.kron(first.contiguous(), second.contiguous())


def _lokr_half(parts: Parts, number: str) -> Product:
    whole, core = parts.get(f"lokr_w{number}"), parts.get(f"lokr_t{number}")
    if whole is not None:
        return _times_identity(whole)
    a, b = parts[f"lokr_w{number}_a"], parts[f"lokr_w{number}_b"]
    return Product(a, b.flatten(1), (a.shape[0], *b.shape[1:])) if core is None else _tucker(core, a.T, b)


def _times_identity(whole: Tensor) -> Product:
    """Returns a matrix as the product with the identity of its shorter side."""
    matrix = whole.flatten(1)
    one = torch.eye(min(matrix.shape), dtype=matrix.dtype, device=matrix.device)
    factors = (matrix, one) if matrix.shape[1] <= matrix.shape[0] else (one, matrix)
    return Product(*factors, tuple(whole.shape))


def _glora(parts: Parts, weight: Tensor) -> Product:
    """Returns W A + B = [W a1, b1] [a2; b2] for a matrix W (arXiv:2306.07967, eq. 4)."""
    a1, a2, b1, b2 = (parts.matrix(f"{part}.weight") for part in low_rank.glora_order(parts, weight))
    return Product(torch.cat((weight @ a1, b1), 1), torch.cat((a2, b2)), tuple(weight.shape))


_PRODUCTS: dict[str, Callable[[Parts], Product]] = {"lora": _lora, "loha": _loha, "lokr": _lokr}
"""Kinds whose change is a product of thin matrices without the base weight."""
