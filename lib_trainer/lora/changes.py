"""One layer of any kind of network, as it acts on a model: the change of the weight, worked out once and kept.

Plain LoRA never comes here: its two thin matrices act on the activations (`layers.LoraLayer`). The other kinds change
the whole weight, and some of them (DoRA, OFT, GLoRA, (IA)3) need the model's own weight to know how. So the change
f(W) - W is worked out when it is first needed, and what it adds to the output is multiplied with the strength: another
strength, another preset or another step costs no arithmetic on weights, and no weight of the model is ever edited.
The file's tensors stay as they are stored, in the computer's memory; `forget` drops the big matrices.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib_trainer.host_model import Target
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.algorithms.registry import Change


class ChangeLayer:
    """One layer.

    Attributes:
        name: kohya layer name.
        stored: its tensors by part, as the file holds them (CPU).
        multiplier: strength while attached; 0 costs nothing.
        channel_axis: where the model's layer has its output channels: -1, or 1 for convolutions.
        workings_out: how often the change has been worked out.
    """

    def __init__(self, target: Target, stored: Mapping[str, Tensor]) -> None:
        """Takes a layer's tensors.

        Raises:
            UserError: they do not fit the model's layer.
        """
        self.name = target.name
        self.stored = dict(stored)
        self.multiplier = 1.0
        self.channel_axis = 1 if _has_kernel(target.module) or isinstance(target.module, nn.GroupNorm) else -1
        self.workings_out = 0
        self._target = target
        self._change: Change | None = None
        registry.change(self.name, layer_parts.read(self.stored).to_meta(), own_weight(target).to("meta"))

    def meet(self, target: Target) -> None:
        """Learns the model's layer as it is now; what was worked out for another one is forgotten."""
        if target.module is not self._target.module:
            self.forget()
        self._target = target

    def forget(self) -> None:
        """Drops what was worked out, and with it the memory; it is worked out again when needed."""
        self._change = None

    @property
    def bytes_kept(self) -> int:
        """Memory of what was worked out."""
        kept = (self._change.weight, self._change.bias) if self._change else ()
        return sum(tensor.numel() * tensor.element_size() for tensor in kept if tensor is not None)

    def weight_delta(self) -> Change:
        """Returns the change at full strength, float32, on the device of the model's weight."""
        weight = own_weight(self._target)
        with torch.no_grad():
            return registry.change(self.name, layer_parts.read(self.stored, weight.device), weight)

    def delta(self, x: Tensor, multiplier: float = 1.0) -> Tensor:
        """Returns what this layer adds to the output of the model's layer.

        Args:
            x: the layer's input, (..., inputs), (B, inputs, H, W) or what a norm takes.
            multiplier: strength.

        Returns:
            In the shape of the output, or one that broadcasts to it where only the bias changes.
        """
        added = run(self._target.module, x, self._worked_out(x), self.channel_axis)
        return added if multiplier == 1.0 else added * multiplier

    def _worked_out(self, x: Tensor) -> Change:
        kept = self._change
        if kept is None:
            kept = self.weight_delta()
            self.workings_out += 1
        tensors = [None if tensor is None else tensor.to(x.device, x.dtype) for tensor in (kept.weight, kept.bias)]
        self._change = Change(*tensors)
        return self._change


def _has_kernel(module: nn.Module) -> bool:
    return cast(Tensor, module.weight).dim() > 2


def own_weight(target: Target) -> Tensor:
    """Returns the weight of a target as the model holds it, only the target's rows."""
    weight = cast(Tensor, target.module.weight).detach()
    return weight if target.rows is None else weight[target.rows]


def run(module: nn.Module, x: Tensor, change: Change, channel_axis: int) -> Tensor:
    """Runs a layer of the model with a change in place of its weight and bias; a norm's statistics are as ever.

    Args:
        module: Linear-, Conv2d- or norm-like.
        x: its input.
        change: in the dtype of `x`.
        channel_axis: where the output has its channels: -1, or 1.

    Returns:
        In the shape of the output, or one that broadcasts to it where only the bias changes.
    """
    weight, bias = change.weight, change.bias
    if weight is None:
        return _along(bias, x.dim(), channel_axis)
    if isinstance(module, nn.LayerNorm):
        normed = F.layer_norm(x, module.normalized_shape, None, None, module.eps) * weight
        return normed if bias is None else normed + bias
    if isinstance(module, nn.GroupNorm):
        normed = F.group_norm(x, module.num_groups, None, None, module.eps) * _along(weight, x.dim(), 1)
        return normed if bias is None else normed + _along(bias, x.dim(), 1)
    if weight.dim() == 2:
        return F.linear(x, weight, bias)
    convolution = cast(nn.Conv2d, module)
    return F.conv2d(x, weight, bias, convolution.stride, convolution.padding, convolution.dilation, convolution.groups)


def _along(values: Tensor | None, dimensions: int, axis: int) -> Tensor:
    """Returns one number per channel so that it broadcasts along the channels' axis."""
    assert values is not None  # a change without a weight has a bias
    return values if axis == -1 else values.reshape(-1, *(1 for _ in range(dimensions - 2)))
