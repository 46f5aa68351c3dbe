"""A LoRA network: the low-rank layers of one LoRA, and how they join a model for a while.

`create` makes a fresh network for chosen layers of a model, `from_state` makes one from a file's tensors. A network
owns its factors and knows nothing of the model afterwards: `with network.attached(targets):` hangs one forward hook on
every target, and leaving the block removes them all, on every way out. Several networks may be attached to the same
layers at once; their effects add. Strengths are numbers read at every call (`set_multipliers`), so switching a preset
touches no tensor. Attach before the forward pass and stay until after `backward`: checkpointing runs the pass again.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lib_trainer import seeds
from lib_trainer.blocks.layers import block_of
from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.host import Target
from lib_trainer.lora import keys, layers
from lib_trainer.lora.layers import LoraLayer

UNET, TEXT_ENCODER = "unet", "text_encoder"
PARTS = (UNET, TEXT_ENCODER)
"""The parts of a model that have a learning rate of their own."""


@dataclass(frozen=True)
class NetworkSpec:
    """Which layers to adapt and how strongly.

    Attributes:
        rank, alpha: of attention, feed-forward and projection layers, and of every Linear or 1x1 layer.
        conv_rank: rank of the true convolutions; 0 = LierLa (they and the other residual layers are left alone).
        conv_alpha: alpha of the true convolutions.
        unet, text_encoder: which parts are adapted.
        blocks: U-Net blocks of the 26-block layout to adapt; None = all, with the layers that are in no block.
    """

    rank: int
    alpha: float
    conv_rank: int = 0
    conv_alpha: float = 1.0
    unet: bool = True
    text_encoder: bool = True
    blocks: frozenset[str] | None = None


@dataclass(frozen=True)
class Choice:
    """A layer that will be adapted, with its rank and alpha."""

    target: Target
    rank: int
    alpha: float


class Network:
    """The layers of one LoRA.

    Attributes:
        layers: the low-rank layers by kohya layer name, in the model's order.
    """

    def __init__(self, members: Sequence[LoraLayer]) -> None:
        self.layers = {layer.name: layer for layer in members}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def parameters_of(self, part: str) -> list[torch.nn.Parameter]:
        """Returns the factors of "unet" or "text_encoder", in the model's order."""
        return [factor for name, layer in self.layers.items() if part_of(name) == part for factor in layer.parameters()]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Network:
        """Moves the factors in place (the same parameters stay); a dtype other than float32 is for generation only."""
        for layer in self.layers.values():
            layer.to(device=device, dtype=dtype)
        return self

    def requires_grad_(self, wanted: bool = True) -> Network:
        """Switches the training of all factors on or off."""
        for layer in self.layers.values():
            layer.requires_grad_(wanted)
        return self

    def state_dict(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Returns copies on the CPU under kohya's names: per layer `alpha` (0-d), `lora_down.weight`, `lora_up.weight`.

        Args:
            dtype: of all tensors, the alphas included, as kohya writes them.
        """
        state: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            state[f"{name}.{keys.ALPHA}"] = torch.tensor(layer.alpha, dtype=dtype)
            for part, factor in ((keys.DOWN, layer.down), (keys.UP, layer.up), (keys.MID, layer.mid)):
                if factor is not None:
                    state[f"{name}.{part}"] = factor.detach().to("cpu", dtype, copy=True).contiguous()
        return state

    @property
    def is_attached(self) -> bool:
        """Whether the network acts on a model now."""
        return bool(self._handles)

    def set_multipliers(self, multipliers: Mapping[str, float] | None = None) -> None:
        """Sets every layer's strength, at once and while attached; a layer that is not named gets 1."""
        given = multipliers or {}
        for name, layer in self.layers.items():
            layer.multiplier = given.get(name, 1.0)

    @contextmanager
    def attached(
        self, targets: Sequence[Target], multipliers: Mapping[str, float] | None = None
    ) -> Iterator[Network]:
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
                self._handles.append(target.module.register_forward_hook(_hook(layer, target.rows)))
            yield self
        finally:
            for handle in self._handles:
                handle.remove()
            self._handles.clear()


def part_of(name: str) -> str:
    """Returns "unet" or "text_encoder" for a kohya layer name."""
    return UNET if name.startswith("lora_unet_") else TEXT_ENCODER


def _hook(layer: LoraLayer, rows: slice | None) -> Callable[[torch.nn.Module, tuple[Any, ...], Tensor], Tensor | None]:
    """Returns the forward hook that adds a layer's delta to (the rows of) its target's output.

    The delta takes the output's dtype, so a host that casts between its layers sees the dtypes it is used to.
    """

    def add(module: torch.nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if layer.multiplier == 0.0:
            return None
        return output + layer.delta(args[0], layer.multiplier).to(output.dtype)

    def add_rows(module: torch.nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if layer.multiplier == 0.0:
            return None
        delta = layer.delta(args[0], layer.multiplier).to(output.dtype)
        axis = -1 if layer.shape.kernel is None else 1
        start, stop, _ = rows.indices(output.shape[axis])  # type: ignore[union-attr]
        trailing = (0, 0) * (0 if axis == -1 else output.dim() - 2)
        return output + F.pad(delta, (*trailing, start, output.shape[axis] - stop))

    return add if rows is None else add_rows


def choose(targets: Sequence[Target], spec: NetworkSpec, family: Family) -> list[Choice]:
    """Returns the layers that a spec adapts, in the model's order.

    Args:
        targets: every layer the model offers.
        spec: what to adapt.
        family: tells attention, convolution and text layers apart by name.
    """
    chosen = []
    for target in targets:
        if family.is_text_layer(target.name):
            if spec.text_encoder:
                chosen.append(Choice(target, spec.rank, spec.alpha))
        elif spec.unet and _in_blocks(target.name, spec.blocks, family):
            if family.is_attention_layer(target.name):
                chosen.append(Choice(target, spec.rank, spec.alpha))
            elif spec.conv_rank and family.is_conv_layer(target.name):
                chosen.append(_residual_choice(target, spec))
    return chosen


def _in_blocks(name: str, blocks: frozenset[str] | None, family: Family) -> bool:
    return blocks is None or block_of(name, family.arch) in blocks


def _residual_choice(target: Target, spec: NetworkSpec) -> Choice:
    """Gives true convolutions the conv rank, and 1x1 and Linear layers of residual blocks the main rank (as kohya)."""
    if max(layers.HostShape.of(target).kernel or (1,)) > 1:
        return Choice(target, spec.conv_rank, spec.conv_alpha)
    return Choice(target, spec.rank, spec.alpha)


def create(targets: Sequence[Target], spec: NetworkSpec, family: Family, seed: int) -> Network:
    """Makes a fresh network that changes nothing yet.

    Every layer draws from a generator of its own name, so a layer starts the same whichever others are trained.

    Raises:
        UserError: the spec leaves no layer to train.
    """
    chosen = choose(targets, spec, family)
    if not chosen:
        raise UserError(
            "No layer is left to train: neither the text encoder nor any U-Net layer of the chosen blocks "
            f"({', '.join(sorted(spec.blocks)) if spec.blocks is not None else 'all'}) is on. "
            "Choose blocks that hold attention layers (17-block names), or set a conv rank."
        )
    return Network([
        layers.create(choice.target, choice.rank, choice.alpha, seeds.torch_generator(seed, "init", choice.target.name))
        for choice in chosen
    ])


def from_state(targets: Sequence[Target], state: Mapping[str, Tensor]) -> tuple[Network, list[str]]:
    """Makes a network from a LoRA's tensors; rank and alpha are the file's, layer by layer.

    Args:
        targets: every layer the model offers.
        state: tensors under kohya's names; a layer without alpha has alpha = rank.

    Returns:
        The network and the tensor names for which the model has no layer.

    Raises:
        UserError: another algorithm than LoRA, factors that do not fit, or no layer that fits.
    """
    algorithm = keys.algorithm(state)
    if algorithm not in keys.LORA_ALGORITHMS:
        raise UserError(
            f"This file's network is of the kind '{algorithm}', which cannot be loaded here. Use a LoRA or LoCon file "
            "(tensors named lora_down and lora_up)."
        )
    grouped = keys.by_layer(state)
    members = [_layer_from(target, grouped[target.name]) for target in targets if target.name in grouped]
    known = {f"{layer.name}.{part}" for layer in members for part in keys.LORA_PARTS}
    unmatched = [tensor for tensor in state if tensor not in known]
    if not members:
        raise UserError(
            f"None of the LoRA's {len(grouped)} layers (such as '{min(grouped)}') exists in the loaded model: "
            "it was made for another kind of model. Load a checkpoint of its family, or choose another LoRA."
        )
    return Network(members), unmatched


def _layer_from(target: Target, parts: Mapping[str, Tensor]) -> LoraLayer:
    for part in (keys.DOWN, keys.UP):
        if part not in parts:
            raise UserError(
                f"The LoRA file is incomplete: the tensor '{target.name}.{part}' is missing. Use an intact copy."
            )
    alpha = float(parts[keys.ALPHA]) if keys.ALPHA in parts else float(parts[keys.DOWN].shape[0])
    return layers.from_tensors(target, parts[keys.DOWN], parts[keys.UP], alpha, parts.get(keys.MID))
