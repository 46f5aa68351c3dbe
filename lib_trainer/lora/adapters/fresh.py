"""The factors with which a layer of every kind begins, so that it changes nothing yet.

Starts are those of the kinds' own trainers (kohya, LyCORIS): one factor is zero, the others are drawn from the layer's
own generator, on the CPU and from shapes alone, so that the model may be on any device, the meta device included. With
`scalar` no factor is zero but the number that multiplies them.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora.adapters.form import Form
from lib_trainer.lora.adapters.lycoris_forms import functional

Factors = dict[str, Tensor]
"""Part name -> float32 tensor."""


@dataclass(frozen=True)
class Start:
    """What a layer is made of.

    Attributes:
        name: kohya layer name, for sentences.
        weight: shape of the model's weight: (outputs, inputs[, k, k]), or (channels,) of a norm.
        has_bias: whether the model's layer has a bias.
        rank: inner dimension, or the size of OFT's blocks.
        form: the settings of the network.
        generator: the layer's own (CPU).
        on_input: whether (IA)^3 scales this layer's inputs.
    """

    name: str
    weight: tuple[int, ...]
    has_bias: bool
    rank: int
    form: Form
    generator: torch.Generator
    on_input: bool = False

    @property
    def outputs(self) -> int:
        return self.weight[0]

    @property
    def inputs(self) -> int:
        return self.weight[1]

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.weight[2:]

    @property
    def ones(self) -> tuple[int, ...]:
        return tuple(1 for _ in self.kernel)

    @property
    def tucker(self) -> bool:
        """Whether this layer is Tucker-decomposed: true kernels only."""
        return self.form.tucker and max(self.kernel, default=1) > 1

    def uniform(self, *shape: int) -> Tensor:
        """Draws U(-1/sqrt(fan_in), 1/sqrt(fan_in)): Kaiming's with a = sqrt(5) (He et al. 2015)."""
        bound = 1.0 / math.sqrt(math.prod(shape[1:]))
        return torch.empty(*shape).uniform_(-bound, bound, generator=self.generator)

    def normal(self, std: float, *shape: int) -> Tensor:
        return torch.empty(*shape).normal_(std=std, generator=self.generator)

    def last(self, draw: Callable[[], Tensor], *shape: int) -> Tensor:
        """Returns the factor that makes the start the identity: zeros, or numbers where a scalar is zero instead."""
        return draw() if self.form.scalar else torch.zeros(*shape)


def lora(start: Start) -> Factors:
    """down random, up zero; Tucker: a 1x1 down and a random core."""
    up = (start.outputs, start.rank, *start.ones)
    factors = {"lora_down.weight": start.uniform(
        start.rank, start.inputs, *(start.ones if start.tucker else start.kernel))}
    if start.tucker:
        factors["lora_mid.weight"] = start.uniform(start.rank, start.rank, *start.kernel)
    return factors | {"lora_up.weight": start.last(lambda: start.uniform(*up), *up)}


def lora_fa(start: Start) -> Factors:
    """A frozen down from N(0, 2 / (inputs + rank)) (Zhang et al. 2023, arXiv:2308.03303), up zero."""
    std = math.sqrt(2.0 / (start.inputs + start.rank))
    return {"lora_down.weight": start.normal(std, start.rank, start.inputs, *start.kernel),
            "lora_up.weight": torch.zeros(start.outputs, start.rank, *start.ones)}


def loha(start: Start) -> Factors:
    """Normal numbers, the second half's a zero."""
    rank, wide = start.rank, start.inputs * math.prod(start.kernel)
    outer = (rank, start.outputs) if start.tucker else (start.outputs, rank)
    inner = (rank, start.inputs) if start.tucker else (rank, wide)
    factors = {"hada_w1_a": start.normal(0.1, *outer), "hada_w1_b": start.normal(1.0, *inner),
               "hada_w2_a": start.last(lambda: start.normal(0.1, *outer), *outer),
               "hada_w2_b": start.normal(1.0, *inner)}
    if start.tucker:
        factors |= {f"hada_t{half}": start.normal(0.1, rank, rank, *start.kernel) for half in (1, 2)}
    return factors


def lokr(start: Start) -> Factors:
    """The small matrix random, the bigger one (or its second factor) zero."""
    form, rank, kernel = start.form, start.rank, start.kernel
    factorization = functional("general").factorization
    small_out, big_out = factorization(start.outputs, form.factor)
    small_in, big_in = factorization(start.inputs, form.factor)
    if form.unbalanced:
        small_out, big_out = big_out, small_out
    if form.decompose_both and not form.full_matrix and rank < max(small_out, small_in) / 2:
        factors = {"lokr_w1_a": start.uniform(small_out, rank), "lokr_w1_b": start.uniform(rank, small_in)}
    else:
        factors = {"lokr_w1": start.uniform(small_out, small_in)}
    if form.full_matrix or rank >= max(big_out, big_in) / 2:
        whole = (big_out, big_in, *kernel)
        return factors | {"lokr_w2": start.last(lambda: start.uniform(*whole), *whole)}
    inner = (rank, big_in) if start.tucker else (rank, big_in * math.prod(kernel))
    factors["lokr_w2_a"] = start.uniform(*((rank, big_out) if start.tucker else (big_out, rank)))
    factors["lokr_w2_b"] = start.last(lambda: start.uniform(*inner), *inner)
    if start.tucker:
        factors["lokr_t2"] = start.uniform(rank, rank, *kernel)
    return factors


def glora(start: Start) -> Factors:
    """The factors next to the outputs random, those next to the inputs zero."""
    rank, ones = start.rank, start.ones
    near, far = (rank, start.inputs, *ones), (rank, start.inputs, *start.kernel)
    return {"a1.weight": start.uniform(start.inputs, rank, *ones),
            "a2.weight": start.last(lambda: start.uniform(*near), *near),
            "b1.weight": start.uniform(start.outputs, rank, *ones),
            "b2.weight": start.last(lambda: start.uniform(*far), *far)}


def oft(start: Start) -> Factors:
    """No rotation: blocks of about `rank` outputs each, of zeros."""
    size, count = functional("general").factorization(start.outputs, start.rank)
    return _with_rescale(start, torch.zeros(count, size, size))


def oft_kohya(start: Start) -> Factors:
    """No rotation: `rank` blocks of zeros.

    Raises:
        UserError: the outputs cannot be shared out among so many blocks.
    """
    count = start.rank
    if start.outputs % count:
        raise UserError(f"sd-scripts' OFT takes the rank for a number of blocks, and the {start.outputs} outputs of "
                        f"'{start.name}' cannot be shared out among {count}. Choose a rank that divides them, such as "
                        f"{math.gcd(start.outputs, 2**30)} or less, a power of two.")
    return {"oft_blocks": torch.zeros(count, start.outputs // count, start.outputs // count)}


def boft(start: Start) -> Factors:
    """No rotation: as many stages as it takes for every output to meet every other.

    Raises:
        UserError: the outputs are no even block size of at most `rank` times a power of two, or the package is too old.
    """
    functional("boft")
    size, count = _butterfly(start.outputs, start.rank)
    if size is None:
        least = next(number for number in range(2, start.outputs + 1, 2) if _butterfly(start.outputs, number)[0])
        raise UserError(f"BOFT cannot cut the {start.outputs} outputs of '{start.name}' into blocks of at most "
                        f"{start.rank}: set the rank to {least} or more.")
    stages = sum(int(digit) for digit in f"{count - 1:b}") + 1
    return _with_rescale(start, torch.zeros(stages, count, size, size))


def _butterfly(outputs: int, rank: int) -> tuple[int | None, int]:
    size, count = functional("general").power2factorization(outputs, rank)
    return size, count


def _with_rescale(start: Start, blocks: Tensor) -> Factors:
    rescale = {"rescale": torch.ones(start.outputs, 1, *start.ones)} if start.form.rescaled else {}
    return {"oft_blocks": blocks} | rescale


def ia3(start: Start) -> Factors:
    """Nothing more or less of any channel."""
    channels = start.inputs if start.on_input else start.outputs
    return {"weight": torch.zeros(1, channels, *start.ones) if start.kernel else torch.zeros(channels)}


def full(start: Start) -> Factors:
    """No difference, of the bias either."""
    return {"diff": torch.zeros(start.weight)} | ({"diff_b": torch.zeros(start.outputs)} if start.has_bias else {})


def norm(start: Start) -> Factors:
    """No difference of a norm's weight and bias."""
    return {"w_norm": torch.zeros(start.weight)} | ({"b_norm": torch.zeros(start.weight)} if start.has_bias else {})


FRESH: dict[str, Callable[[Start], Factors]] = {
    "lora": lora, "lora_fa": lora_fa, "dylora": lora, "loha": loha, "lokr": lokr, "ia3": ia3, "oft": oft,
    "oft_kohya": oft_kohya, "boft": boft, "glora": glora, "full": full, "norm": norm,
}
"""By the value of the setting `algorithm`; and norms, which join any of them."""


def lengths(weight: Tensor, on_output: bool) -> Tensor:
    """Returns DoRA's lengths of a weight as it is: (outputs, 1, ...) or (1, inputs, ...), float32 on the CPU."""
    axis = 0 if on_output else 1
    others: Sequence[int] = [dimension for dimension in range(weight.dim()) if dimension != axis]
    return torch.linalg.vector_norm(weight.float(), dim=list(others), keepdim=True).cpu()
