"""The factor of every layer: strength times the weight of its block, or of the elemental rule for it.

This is all that block weights come down to. A layer in no block that no rule names keeps the plain strength.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable

from lib_trainer.blocks.layers import block_of, is_text_encoder
from lib_trainer.blocks.resolve import Weights
from lib_trainer.blocks.spelling import fine_name


def multipliers(weights: Weights, layers: Iterable[str], arch: str) -> dict[str, float]:
    """Gives every layer its multiplier.

    Args:
        weights: what the tag asks for, resolved for the same architecture.
        layers: kohya layer names.
        arch: "sd15" or "sdxl".

    Returns:
        the multiplier by layer name: the factor of the LoRA's whole change of that layer (alpha/rank not included).
    """
    return {layer: _multiplier(weights, layer, arch) for layer in layers}


def summed(wanted: Iterable[Weights], layers: Collection[str], arch: str) -> dict[str, float]:
    """Gives every layer the sum of what several tags ask of one LoRA; 0 where there is none.

    Args:
        wanted: what the tags ask for. layers, arch: as for `multipliers`.
    """
    total = dict.fromkeys(layers, 0.0)
    for weights in wanted:
        for layer, factor in multipliers(weights, layers, arch).items():
            total[layer] += factor
    return total


def ratio(weights: Weights, layer: str, arch: str) -> float:
    """Returns what a layer's strength is multiplied by.

    That is the ratio of the last elemental rule for the layer, else the weight of its part of the middle (or of the
    embeddings, or of the end) where that is given, else the weight of its block, else 1 (for a layer in no block, and
    where the tag asks for no block weights). The steps in which the LoRA acts are the host's business.
    """
    block = block_of(layer, arch)
    for rule in reversed(weights.rules):
        if rule.matches(layer, block):
            return rule.ratio
    if weights.fine and (fine := weights.fine.get(fine_name(layer) or "")) is not None:
        return fine
    return 1.0 if weights.ratios is None or block is None else weights.ratios[block]


def _multiplier(weights: Weights, layer: str, arch: str) -> float:
    strength = weights.te if is_text_encoder(layer) else weights.unet
    return strength * ratio(weights, layer, arch)
