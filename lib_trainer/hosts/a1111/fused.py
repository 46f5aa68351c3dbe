"""open_clip's attention, taken apart so that a LoRA can act on its query, key, value and output.

SD 2.x's text encoder and SDXL's second one are built of `torch.nn.MultiheadAttention`: query, key and value are the
thirds of one weight, and neither that weight nor the output projection is a module that is called, so a forward hook
would never fire. `Projection` stands for one of the two weights, on the same storage. While `taken_apart` is open an
attention with a hooked projection runs through its projections; one without runs as it always did, to the last bit.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F


class Projection(torch.nn.Module):
    """One weight of an attention as a layer of its own; holds no tensor, reads the attention's at every call.

    Attributes:
        attention: whose weight it is.
        is_input: True for the fused query, key and value (3C, C), False for the output (C, C).
    """

    def __init__(self, attention: torch.nn.MultiheadAttention, is_input: bool) -> None:
        super().__init__()
        self.attention = attention
        self.is_input = is_input

    @property
    def weight(self) -> torch.Tensor:
        """The weight as it is now, (outputs, C)."""
        return self.attention.in_proj_weight if self.is_input else self.attention.out_proj.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the projection (..., outputs) of x (..., C)."""
        bias = self.attention.in_proj_bias if self.is_input else self.attention.out_proj.bias
        return F.linear(x, self.weight, bias)


@dataclass(frozen=True)
class Parts:
    """An attention and the two layers that stand for its weights."""

    attention: torch.nn.MultiheadAttention
    inputs: Projection
    output: Projection

    @classmethod
    def of(cls, attention: torch.nn.MultiheadAttention) -> Parts:
        """Makes the layers; allocates nothing."""
        return cls(attention, Projection(attention, is_input=True), Projection(attention, is_input=False))

    @property
    def hooked(self) -> bool:
        """Whether an adapter hangs on one of the layers."""
        return bool(self.inputs._forward_hooks or self.output._forward_hooks)


@contextmanager
def taken_apart(parts: Sequence[Parts], prepare: Callable[[torch.nn.Module], None]) -> Iterator[None]:
    """While open, hooks on the projections act.

    Args:
        parts: the attentions.
        prepare: called with an attention before its weights are read: the host merges a generation's LoRAs there.
    """
    found = [part.attention.__dict__.get("forward") for part in parts]
    try:
        for part in parts:
            part.attention.__dict__["forward"] = partial(_forward, part, part.attention.forward, prepare)
        yield
    finally:
        for part, forward in zip(parts, found, strict=True):
            if forward is None:
                part.attention.__dict__.pop("forward", None)
            else:
                part.attention.__dict__["forward"] = forward


def _forward(
    part: Parts, whole: Callable[..., Any], prepare: Callable[[torch.nn.Module], None],
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: Any,
) -> tuple[torch.Tensor, None]:
    """Self-attention as open_clip calls it: (T, B, C) three times the same, an additive mask, no weights asked for."""
    if not part.hooked:
        return whole(query, key, value, **options)
    mask = options.pop("attn_mask", None)
    asked = {name: option for name, option in options.items() if option not in (None, False)}
    if key is not query or value is not query or asked:
        raise RuntimeError(f"This attention is called in a way that a LoRA in training cannot follow: {sorted(asked)}.")
    prepare(part.attention)
    length, batch, width = query.shape
    heads = part.attention.num_heads
    split = part.inputs(query).reshape(length, batch, 3, heads, width // heads)
    q, k, v = split.permute(2, 1, 3, 0, 4)
    states = F.scaled_dot_product_attention(q, k, v, attn_mask=mask if mask is None else mask.to(q.dtype))
    return part.output(states.permute(2, 0, 1, 3).reshape(length, batch, width)), None
