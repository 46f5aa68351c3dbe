"""A LoRA network that can be trained: the low-rank layers of one LoRA.

`create` makes a fresh network for chosen layers of a model, `from_state` makes one from a LoRA file's tensors, to be
trained on. A network owns its factors and knows nothing of the model afterwards; how it joins one for a while is told
in `attach`. Files of every kind, for use and not for training, are read by `loaded`.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.blocks.layers import block_of
from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.host import Target
from lib_trainer.lora import keys, layers
from lib_trainer.lora.attach import Attachable
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


class Network(Attachable[LoraLayer]):
    """The low-rank layers of one LoRA, which can be trained."""

    dropping: torch.Generator | None = None

    def begin_turn(self, generator: torch.Generator | None) -> None:
        """Says where the coming turn's dropout masks are drawn from; None = nothing is dropped."""
        self.dropping = generator

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


def part_of(name: str) -> str:
    """Returns "unet" or "text_encoder" for a kohya layer name."""
    return UNET if name.startswith("lora_unet_") else TEXT_ENCODER


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
            f"This file's network is of the kind '{algorithm}', which cannot be trained on. Use a LoRA or LoCon file "
            "(tensors named lora_down and lora_up)."
        )
    grouped = keys.by_layer(state)
    members = [low_rank_layer(target, grouped[target.name]) for target in targets if target.name in grouped]
    known = {f"{layer.name}.{part}" for layer in members for part in keys.LORA_PARTS}
    unmatched = [tensor for tensor in state if tensor not in known]
    if not members:
        raise UserError(
            f"None of the LoRA's {len(grouped)} layers (such as '{min(grouped)}') exists in the loaded model: "
            "it was made for another kind of model. Load a checkpoint of its family, or choose another LoRA."
        )
    return Network(members), unmatched


def low_rank_layer(target: Target, parts: Mapping[str, Tensor]) -> LoraLayer:
    """Makes a layer from its tensors in a LoRA file: `lora_down.weight`, `lora_up.weight`, `alpha`, `lora_mid.weight`.

    Raises:
        UserError: a factor is missing, or they do not fit the model's layer.
    """
    for part in (keys.DOWN, keys.UP):
        if part not in parts:
            raise UserError(
                f"The LoRA file is incomplete: the tensor '{target.name}.{part}' is missing. Use an intact copy."
            )
    alpha = float(parts[keys.ALPHA]) if keys.ALPHA in parts else float(parts[keys.DOWN].shape[0])
    return layers.from_tensors(target, parts[keys.DOWN], parts[keys.UP], alpha, parts.get(keys.MID))
