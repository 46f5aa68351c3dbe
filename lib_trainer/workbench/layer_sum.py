"""The sum of what several LoRAs do to one layer: products side by side while that is the smaller way, else dense.

Side by side means (u1, u2) (d1; d2) = u1 d1 + u2 d2: the ranks add up. The strength of every LoRA, alpha / rank
included, is taken into its factors, so that the sum's own alpha is its rank. It goes to the up matrix, but for a power
of two in the middle that costs no rounding: a strength of 1 or -1 at alpha = rank leaves every bit as it is, and a
difference of two LoRAs that are nearly alike loses nothing.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.workbench.factors import Product, Term


@dataclass(frozen=True)
class Weighted:
    """One LoRA's part of a sum: what it does, times what, and from which file (for the sentence)."""

    term: Term
    factor: float
    file: str


@dataclass(frozen=True)
class LayerSum:
    """What a layer of the result does at strength 1; float64.

    Attributes:
        name: kohya layer name.
        shape: of the weight, (outputs, inputs, *kernel), or (channels) of a norm; () where only the bias changes.
        product: the weight's change as factors; or
        dense: the weight's change, (outputs, inputs * kernel) or (channels).
        bias: the bias' change.
        is_norm: whether the layer is a norm.
    """

    name: str
    shape: tuple[int, ...]
    product: Product | None
    dense: Tensor | None
    bias: Tensor | None
    is_norm: bool

    @property
    def is_conv(self) -> bool:
        """Whether the layer has a kernel greater than 1x1."""
        return math.prod(self.shape[2:]) > 1


def add(name: str, parts: Sequence[Weighted], kernel: tuple[int, ...] | None = None) -> LayerSum:
    """Adds up.

    Args:
        name: kohya layer name. parts: at least one.
        kernel: the layer's, where it is known and the files may hide it.

    Raises:
        UserError: the LoRAs change weights of different sizes.
    """
    _require_same_size(name, parts)
    shape = _shape(parts, kernel)
    biases = [part.term.bias * part.factor for part in parts if part.term.bias is not None]
    bias = sum(biases[1:], biases[0]) if biases else None
    is_norm = any(part.term.is_norm for part in parts)
    changing = [part for part in parts if _told(part.term)]
    products = [(part.term.product, part.factor * part.term.scale) for part in changing if part.term.product]
    if changing and len(products) == len(changing):
        product = _side_by_side([(product, factor) for product, factor in products if product], shape)
        if product.rank * (product.up.shape[0] + product.down.shape[1]) < math.prod(shape):
            return LayerSum(name, shape, product, None, bias, is_norm)
    return LayerSum(name, shape, None, _dense_sum(changing, shape), bias, is_norm)


def _side_by_side(products: Sequence[tuple[Product, float]], shape: tuple[int, ...]) -> Product:
    ups, downs = [], []
    for product, factor in products:
        inner = 2.0 ** round(math.log2(abs(factor)) / 2) if factor else 1.0  # an alpha of 0 is a LoRA that does nothing
        ups.append(product.up * (factor / inner))
        downs.append(product.down * inner)
    return Product(torch.cat(ups, 1), torch.cat(downs), shape)


def _dense_sum(parts: Sequence[Weighted], shape: tuple[int, ...]) -> Tensor | None:
    if not parts:
        return None
    flat = (shape[0], -1) if len(shape) > 1 else (-1,)
    total = _dense(parts[0]).reshape(flat)
    for part in parts[1:]:
        total = total + _dense(part).reshape(flat)
    return total


def _dense(part: Weighted) -> Tensor:
    term = part.term
    change = term.product.dense() if term.product else term.dense
    assert change is not None  # only parts that change the weight come here
    return change * (part.factor * (term.scale if term.product else 1.0))


def _shape(parts: Sequence[Weighted], kernel: tuple[int, ...] | None) -> tuple[int, ...]:
    """Returns the weight's shape: the one with most dimensions that a file tells, with the kernel where none does."""
    shape = max((_told(part.term) for part in parts), key=len)
    if kernel and len(shape) == 2 and shape[1] % math.prod(kernel) == 0:
        return (shape[0], shape[1] // math.prod(kernel), *kernel)
    return shape


def _told(term: Term) -> tuple[int, ...]:
    if term.product:
        return term.product.shape
    return () if term.dense is None else tuple(term.dense.shape)


def _size(term: Term) -> tuple[int, int]:
    """Returns (outputs, entries of the weight) that a term changes; (0, 0) = none."""
    shape = _told(term)
    return (shape[0], math.prod(shape)) if shape else (0, 0)


def _require_same_size(name: str, parts: Sequence[Weighted]) -> None:
    weights = {_size(part.term): part for part in parts if _size(part.term)[0]}
    biases = {part.term.bias.numel(): part for part in parts if part.term.bias is not None}
    for found in (weights, biases):
        if len(found) > 1:
            (one, first), (other, second), *_ = found.items()
            raise UserError(f"The layer '{name}' has another size in '{first.file}' than in '{second.file}' "
                            f"({one} and {other}): they were made for different models, and cannot be added. "
                            "Choose LoRAs of the same kind of model.")
