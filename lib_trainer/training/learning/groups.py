"""What learns at which rate: the parts of the model, single blocks, and LoRA+'s faster up factors.

A group is named after its part ("unet", "text_encoder", "text_encoder_2"), with "/IN04" where blocks have rates of
their own and "+" for the factors that LoRA+ (Hayou et al. 2024) trains faster. Its rate is the part's times a factor.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from lib_trainer.blocks.layers import block_of
from lib_trainer.lora.network import TEXT_ENCODER, TEXT_ENCODER_2, UNET, Network, part_of
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.learning.rates import Rate, parse_rate


@dataclass(frozen=True)
class Group:
    """Parameters that learn at one rate.

    Attributes:
        name: see the module. part: whose rate it has. factor: by which that is multiplied, above 0.
        weights: the parameters.
    """

    name: str
    part: str
    factor: float
    weights: list[torch.nn.Parameter]


def rates(config: TrainConfig) -> dict[str, Rate]:
    """Returns the learning rate of every part that is trained; the second text encoder has the first one's.

    Raises:
        UserError: one cannot be read.
    """
    found = {}
    if config.train_unet:
        found[UNET] = parse_rate(config.unet_lr or config.learning_rate)
    if config.train_text_encoder:
        first = config.text_encoder_lr or config.learning_rate
        found[TEXT_ENCODER] = parse_rate(first)
        found[TEXT_ENCODER_2] = parse_rate(config.text_encoder2_lr or first)
    return found


def groups(config: TrainConfig, network: Network, trained: Sequence[str], arch: str) -> list[Group]:
    """Returns the groups; a part whose rate is always 0 keeps its layers in the file but has none.

    Args:
        config: the settings.
        network: the adapters.
        trained: names of the layers that learn.
        arch: "sd15" or "sdxl", for the names of blocks.
    """
    by_part, faster = rates(config), _faster(config)
    found: dict[tuple[str, str, float], Group] = {}
    for name in trained:
        part = part_of(name)
        if part not in by_part or not any(by_part[part].rates):
            continue
        block_rate = network.block_rate(name)
        for weight, is_plus in _weights(network, name):
            plus = faster[part] if is_plus else 0.0
            factor = block_rate * (plus or 1.0)
            block = f"/{block_of(name, arch) or 'rest'}" if block_rate != 1.0 else ""
            label = f"{part}{block}{'+' if plus else ''}"
            group = found.setdefault((part, label, factor), Group(label, part, factor, []))
            group.weights.append(weight)
    return _named_apart(sorted(found.values(), key=lambda group: tuple(by_part).index(group.part)))


def _faster(config: TrainConfig) -> dict[str, float]:
    """Returns LoRA+'s ratio by part, 0 = off."""
    text = config.lora_plus_text_encoder or config.lora_plus
    return {UNET: config.lora_plus_unet or config.lora_plus, TEXT_ENCODER: text, TEXT_ENCODER_2: text}


def _weights(network: Network, name: str) -> Iterator[tuple[torch.nn.Parameter, bool]]:
    """Yields the parameters of a layer, and whether LoRA+ trains them faster."""
    layer = network.layers[name]
    for word, weight in layer.named_parameters():
        yield weight, word in layer.plus


def _named_apart(found: Sequence[Group]) -> list[Group]:
    """Gives groups of the same name (parts of one block with different rates) a number."""
    counts: dict[str, int] = {}
    named = []
    for group in found:
        counts[group.name] = counts.get(group.name, 0) + 1
        number = f"#{counts[group.name]}" if counts[group.name] > 1 else ""
        named.append(Group(group.name + number, group.part, group.factor, group.weights))
    return named
