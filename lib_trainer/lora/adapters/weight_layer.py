"""A layer that can be trained and changes the whole weight: every kind but plain LoRA.

The change f(W) - W is worked out from the factors at every call and run beside the model's own layer, so no weight of
the model is edited and several networks add up, each computed from the model's own weight. It would fill the memory to
keep the changes of all layers until backward (they are as big as the model), so backward works them out again: the
layer keeps its input, which the model keeps anyway, and its factors.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lib_trainer.errors import UserError
from lib_trainer.host_model import Target
from lib_trainer.lora.adapters.kinds import Kind
from lib_trainer.lora.adapters.masks import Masks
from lib_trainer.lora.algorithms import decomposed, registry
from lib_trainer.lora.algorithms.parts import ALPHA, ON_INPUT, Parts
from lib_trainer.lora.algorithms.registry import Change
from lib_trainer.lora.changes import own_weight, run

SCALAR = "scalar"


class WeightLayer(nn.Module):
    """One layer.

    Attributes:
        name: kohya layer name.
        kind: what its factors mean.
        alpha: strength scale as it is stored, None of a kind that has none.
        rank: what alpha is divided by, None of a kind that has none.
        multiplier: strength while attached; 0 costs nothing.
        channel_axis: where the model's layer has its output channels: -1, or 1 for convolutions.
        is_kernel: whether the model's layer is a true convolution.
        masks: what is left out in the turn that is on, None = nothing.
        plus: parameters that LoRA+ (Hayou et al. 2024) gives the higher rate.
    """

    plus: tuple[str, ...] = ()

    def __init__(
        self, target: Target, kind: Kind, factors: Mapping[str, Tensor], alpha: float | None, on_input: bool = False
    ) -> None:
        """Takes a layer's factors (float32, by part name; `scalar` and `dora_scale` among them).

        Raises:
            UserError: they do not fit the model's layer, or its weight cannot be read.
        """
        super().__init__()
        weight = own_weight(target)
        self.name, self.kind, self.alpha = target.name, kind, alpha
        self.multiplier = 1.0
        self.channel_axis = 1 if weight.dim() > 2 or isinstance(target.module, nn.GroupNorm) else -1
        self.is_kernel = max(weight.shape[2:], default=1) > 1
        self.masks: Masks | None = None
        self._on_input = on_input
        self._shape = tuple(weight.shape)
        self._parts = tuple(factors)
        self._names = frozenset((*factors, ON_INPUT) if kind.has_side else factors)
        self._where = [target]  # in a list, for the model's layer is no part of this module
        for part, factor in factors.items():
            self.register_parameter(_attribute(part), nn.Parameter(factor))
        self.plus = tuple(_attribute(part) for part in kind.plus if part in factors)
        self.rank = kind.rank(self._read())
        self._refuse_unfit()

    def meet(self, target: Target) -> None:
        """Learns the model's layer that it is about to act on."""
        self._where[0] = target

    def delta(self, x: Tensor, multiplier: float = 1.0) -> Tensor:
        """Returns what this layer adds to the output of the model's layer.

        Args:
            x: the layer's input, (..., inputs), (B, inputs, H, W) or what a norm takes.
            multiplier: strength.
        """
        if self.kind.is_stored or not torch.is_grad_enabled():
            return self._run(x, multiplier)
        # The generators have nothing to do with it: masks are functions of the turn.
        return checkpoint(self._run, x, multiplier, use_reentrant=False, preserve_rng_state=False)

    def change(self) -> Change:
        """Returns f(W) - W at full strength, float32, with gradients to the factors."""
        with torch.autocast(self._device.type, enabled=False):
            parts = self._read()
            return Change(self._weight_change(parts), _bias(parts))

    def norm(self) -> Tensor:
        """Returns the length (Frobenius) of the change before DoRA; of OFT, whose change has no factor, of its blocks.

        Returns:
            () float32.
        """
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            parts = self._read()
            if not self._scaled_parts():
                return parts["oft_blocks"].norm()
            return self._product(parts, self._weight(parts)).norm()

    def scale_by(self, factor: Tensor) -> None:
        """Multiplies the change (before DoRA) by a number, () float32, in the factors that it is a multiple of."""
        with torch.no_grad():
            for part in self._scaled_parts() or ("oft_blocks",):
                parameter = self._factor(part)
                parameter.mul_(factor.to(parameter.dtype))

    def stored(self) -> dict[str, Tensor]:
        """Returns the layer as its file holds it: part -> tensor, the scalar multiplied in."""
        scalar = getattr(self, SCALAR, None)
        scaled = self._scaled_parts()
        found: dict[str, Tensor] = {}
        if self.alpha is not None:
            found[ALPHA] = torch.tensor(self.alpha)
        if self.kind.has_side:
            found[ON_INPUT] = torch.tensor(float(self._on_input))
        for part in self._parts:
            if part != SCALAR:
                factor = self._factor(part).detach()
                found[part] = factor * scalar.detach() if scalar is not None and part in scaled else factor
        return found

    def _run(self, x: Tensor, multiplier: float) -> Tensor:
        change = self.change()
        weight = None if change.weight is None else change.weight.to(x.dtype)
        bias = None if change.bias is None else change.bias.to(x.dtype)
        added = run(self._where[0].module, x, Change(weight, bias), self.channel_axis)
        return added if multiplier == 1.0 else added * multiplier

    def _weight_change(self, parts: Parts) -> Tensor:
        weight = self._weight(parts)
        delta = self._product(parts, weight)
        if self.masks is not None:
            delta = self.masks.rows(self.name, delta)
        length = parts.get(registry.DORA_SCALE)
        return delta if length is None else decomposed.decomposed(weight, delta, length)

    def _product(self, parts: Parts, weight: Tensor) -> Tensor:
        """Returns the change before DoRA, in the weight's shape."""
        delta = self.kind.product(parts, weight).reshape(weight.shape)
        factor, scalar = parts.factor(self.rank), parts.get(SCALAR)
        if factor != 1.0:
            delta = delta * factor
        return delta if scalar is None else delta * scalar

    def _weight(self, parts: Parts) -> Tensor:
        """Returns the model's weight in float32; only its shape (meta device) where no number of it is needed."""
        if self.kind.reads_weight or registry.DORA_SCALE in parts.names:
            return own_weight(self._where[0]).to(self._device, torch.float32)
        return torch.empty(self._shape, device="meta")

    def _read(self) -> Parts:
        tensors = {part: self._factor(part).float() for part in self._parts}
        return Parts(self._names, tensors, self.alpha, None, self._on_input)

    def _factor(self, part: str) -> nn.Parameter:
        return cast(nn.Parameter, getattr(self, _attribute(part)))

    def _scaled_parts(self) -> tuple[str, ...]:
        algorithm = registry.find(self._names)
        sets = algorithm.scaled if algorithm else ()
        return next((names for names in sets if all(name in self._parts for name in names)), ())

    @property
    def _device(self) -> torch.device:
        return self._factor(self._parts[0]).device

    def _refuse_unfit(self) -> None:
        """Finds out on the meta device whether the factors fit, without computing anything.

        Raises:
            UserError: they do not, or the model's weight is stored in a way that no arithmetic is done on.
        """
        weight = own_weight(self._where[0])
        if not weight.is_floating_point():
            raise UserError(
                f"The layer '{self.name}' of the loaded model is stored quantised ({weight.dtype}), and this kind of "
                "network needs the weights themselves. Train a plain LoRA, or load the checkpoint unquantised."
            )
        parts = replace(self._read().to_meta(), alpha=self.alpha)
        registry.change(self.name, parts, weight.to("meta"))


def _attribute(part: str) -> str:
    return part.replace(".", "_")


def _bias(parts: Parts) -> Tensor | None:
    return next((parts[part].flatten() for part in registry.BIASES if part in parts.names), None)
