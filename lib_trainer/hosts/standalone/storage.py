"""Weights in 8 bits: the big ones are stored as float8 (e4m3fn) and cast where they are used, forward and backward.

A Linear or Conv2d weight needs a quarter of its float32 memory. A cast copy lives for one operation only: what autograd
keeps for backward is the stored weight, and it is cast again there (`_Linear`, `_Conv`). No gradient of a weight is
ever computed: the base is frozen. Embeddings, norms, biases and the first and last layers stay as they are: they are
small, and rounding them costs most (Micikevicius et al. 2022, "FP8 formats for deep learning", section 4).
"""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

FP8 = torch.float8_e4m3fn
_GREATEST = torch.finfo(FP8).max

_WHOLE = ("conv_in", "conv_out", "time_embedding", "add_embedding")
"""Parts of a U-Net that are not stored in 8 bits."""


def dtype_of(x: Tensor) -> torch.dtype:
    """Returns the dtype in which a layer computes for an input: autocast's where it is on."""
    kind = x.device.type
    if kind not in ("cpu", "cuda"):
        return x.dtype
    if hasattr(torch, "get_autocast_dtype"):
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    if kind == "cuda":  # torch before 2.4
        return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else x.dtype
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else x.dtype


class _Linear(torch.autograd.Function):
    """y = x W^T; its backward casts W again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.given = x.dtype
        return F.linear(x.to(dtype), weight.to(dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        weight, = ctx.saved_tensors
        return (gradient @ weight.to(gradient.dtype)).to(ctx.given), None, None


class _Conv(torch.autograd.Function):
    """A convolution; its backward casts the weight again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dtype: torch.dtype, spatial: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.given, ctx.shape, ctx.spatial = x.dtype, x.shape, spatial
        return F.conv2d(x.to(dtype), weight.to(dtype), None, *spatial)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        weight, = ctx.saved_tensors
        found = conv2d_input(ctx.shape, weight.to(gradient.dtype), gradient, *ctx.spatial)
        return found.to(ctx.given), None, None, None


class StoredLinear(torch.nn.Linear):
    """A Linear layer whose weight is float8."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns what the layer gives with its weight cast to the dtype computed in."""
        dtype = dtype_of(x)
        y: Tensor = _Linear.apply(x, self.weight, dtype)
        return y if self.bias is None else y + self.bias.to(dtype)


class StoredConv(torch.nn.Conv2d):
    """A Conv2d layer whose weight is float8."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns what the layer gives with its weight cast to the dtype computed in."""
        dtype = dtype_of(x)
        spatial = (self.stride, self.padding, self.dilation, self.groups)
        y: Tensor = _Conv.apply(x, self.weight, dtype, spatial)
        return y if self.bias is None else y + self.bias.to(dtype)[:, None, None]


_KINDS = {torch.nn.Linear: StoredLinear, torch.nn.Conv2d: StoredConv}


def store(network: torch.nn.Module) -> None:
    """Stores the big weights of a network in 8 bits, for good; they stay the same parameters.

    Numbers beyond float8's range (448) become its greatest.
    """
    for name, layer in network.named_modules():
        kind = _KINDS.get(type(layer))
        if kind is None or name.startswith(_WHOLE):
            continue
        weight = layer.weight
        weight.data = weight.data.clamp(-_GREATEST, _GREATEST).to(FP8)
        layer.__class__ = kind
