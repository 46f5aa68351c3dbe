"""How the layers of a network join a model for a while: forward hooks, nothing else.

`with network.attached(targets):` hangs one forward hook on every target, and leaving the block removes them all, on
every way out. Several networks may be attached to the same layers at once; their effects add. Strengths are numbers
read at every call (`set_multipliers`), so switching a preset touches no tensor. Attach before the forward pass and
stay until after `backward`: checkpointing runs the pass again.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from lib_trainer.host_model import Target

if TYPE_CHECKING:
    from typing_extensions import Self


_OF_UNET = "lora_unet_"
"""Beginning of the names of a U-Net's layers."""


class Layer(Protocol):
    """What one layer of a network must offer.

    Attributes:
        name: kohya layer name. multiplier: strength while attached; 0 costs nothing.
        channel_axis: where the model's layer has its output channels: -1, or 1 for convolutions.
    """

    name: str
    multiplier: float
    channel_axis: int

    def meet(self, target: Target) -> None:
        """Learns the model's layer that it is about to act on."""
        ...

    def delta(self, x: Tensor, multiplier: float = 1.0) -> Tensor:
        """Returns what it adds to the output for an input `x`."""
        ...


LayerT = TypeVar("LayerT", bound=Layer)


class Attachable(Generic[LayerT]):
    """Layers that act on a model together.

    Attributes:
        layers: the layers by kohya layer name, in the model's order.
    """

    def __init__(self, members: Sequence[LayerT]) -> None:
        self.layers: dict[str, LayerT] = {layer.name: layer for layer in members}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._by_sample: Tensor | None = None

    @property
    def is_attached(self) -> bool:
        """Whether the network acts on a model now."""
        return bool(self._handles)

    def set_multipliers(self, multipliers: Mapping[str, float] | None = None) -> None:
        """Sets every layer's strength, at once and while attached; a layer that is not named gets 1."""
        given = multipliers or {}
        for name, layer in self.layers.items():
            layer.multiplier = given.get(name, 1.0)

    def act_at(self, strengths: Tensor | None) -> None:
        """Gives every sample of the coming batches a strength of its own, on top of the layers' multipliers.

        It holds until the network leaves the model or another is given, hence also when checkpointing runs the pass
        again. Layers of the U-Net alone: what reaches them has the samples along its first axis, whereas a caption may
        reach a text encoder in pieces, or be cached.

        Args:
            strengths: (B,), on the model's device; None = all 1.
        """
        self._by_sample = strengths

    def _weighed(self, delta: Tensor) -> Tensor:
        """Returns what a layer adds, (B, ...), times the samples' strengths."""
        if self._by_sample is None:
            return delta
        return delta * self._by_sample.to(delta.dtype).view(-1, *(1,) * (delta.dim() - 1))

    @contextmanager
    def silent(self) -> Iterator[None]:
        """While open, the network stays attached and changes nothing."""
        before = {name: layer.multiplier for name, layer in self.layers.items()}
        self.set_multipliers(dict.fromkeys(self.layers, 0.0))
        try:
            yield
        finally:
            self.set_multipliers(before)

    @contextmanager
    def attached(self, targets: Sequence[Target], multipliers: Mapping[str, float] | None = None) -> Iterator[Self]:
        """While open, every layer adds its delta to its target's output.

        Args:
            targets: the model's targets as they are now; those without a layer of this network are left alone.
            multipliers: strengths, see `set_multipliers`.
        """
        if self._handles:
            raise RuntimeError("This network is attached already; attaching it twice would apply it twice.")
        found = {target.name: target for target in targets if target.name in self.layers}
        if missing := self.layers.keys() - found.keys():
            raise RuntimeError(f"The model has no target for {len(missing)} layers, such as {min(missing)!r}.")
        self.set_multipliers(multipliers)
        try:
            for name, layer in self.layers.items():
                target = found[name]
                layer.meet(target)
                weighed = self._weighed if name.startswith(_OF_UNET) else _as_it_is
                hook = _hook(layer, target.rows, weighed)
                self._handles.append(target.module.register_forward_hook(hook))
            yield self
        finally:
            self._by_sample = None
            for handle in self._handles:
                handle.remove()
            self._handles.clear()


def _as_it_is(delta: Tensor) -> Tensor:
    return delta


def _hook(
    layer: Layer, rows: slice | None, weighed: Callable[[Tensor], Tensor]
) -> Callable[[torch.nn.Module, tuple[Any, ...], Tensor], Tensor | None]:
    """Returns the forward hook that adds a layer's delta to (the rows of) its target's output.

    The delta takes the output's dtype, so a host that casts between its layers sees the dtypes it is used to.
    """

    def add(module: torch.nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if layer.multiplier == 0.0:
            return None
        return output + weighed(layer.delta(args[0], layer.multiplier).to(output.dtype))

    def add_rows(module: torch.nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if layer.multiplier == 0.0:
            return None
        delta = weighed(layer.delta(args[0], layer.multiplier).to(output.dtype))
        axis = layer.channel_axis
        start, stop, _ = rows.indices(output.shape[axis])  # type: ignore[union-attr]
        trailing = (0, 0) * (0 if axis == -1 else output.dim() - 2)
        return output + F.pad(delta, (*trailing, start, output.shape[axis] - stop))

    return add if rows is None else add_rows
