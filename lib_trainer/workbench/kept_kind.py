"""Layers that keep their kind in a sum: what one LoRA alone changes need not become factors or a full difference.

A LoHa or LoKr layer says with a few numbers what takes r^2 ranks, or the whole weight, otherwise. Times a strength it
is a layer of the same kind: its alpha (or `scale`) is multiplied, which rounds one number, and where the kind has no
use for alpha one of its factors is. So a sum of one such LoRA is as small as the LoRA.
"""
from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.bake import multiplied_parts
from lib_trainer.workbench import written
from lib_trainer.workbench.written import Style, Written

KINDS = ("loha", "lokr")
"""Kinds that are no plain factors, and whose change a factor of theirs is proportional to."""


def keeps(stored: Mapping[str, Tensor]) -> bool:
    """Whether a layer, by its parts, can be multiplied and stay what it is."""
    algorithm = registry.find(stored)
    return (algorithm is not None and algorithm.name in KINDS and registry.DORA_SCALE not in stored
            and not registry.unknown(stored))


def write(name: str, stored: Mapping[str, Tensor], factor: float, style: Style) -> Written:
    """Returns a layer times a factor.

    Args:
        name: kohya layer name. stored: its tensors by part, such as `keeps` allows.
        factor: any. style: of the file.
    """
    numbers, times = _strength(stored, factor)
    tensors = {part: tensor.double() * (factor if part in times else 1.0) for part, tensor in stored.items()
               if part not in layer_parts.NUMBERS and tensor.is_floating_point()}
    places = {part: tensor for part, tensor in stored.items() if not tensor.is_floating_point()}  # of sparse terms
    found = written.rounded(name, tensors, style.dtype)
    algorithm = registry.find(stored)
    return Written(name, {**numbers, **found.tensors, **places}, None, is_conv=False, vanished=found.vanished,
                   lost=found.lost, too_great=found.too_great, kind=algorithm.name if algorithm else "")


def _strength(stored: Mapping[str, Tensor], factor: float) -> tuple[dict[str, Tensor], set[str]]:
    """Returns the numbers of the new layer (float32), and the tensors that are multiplied."""
    numbers = {part: stored[part].float().flatten()[0].clone() for part in layer_parts.NUMBERS if part in stored}
    biases = {part for part in registry.BIASES if part in stored}
    algorithm = registry.find(stored)
    rank = algorithm.rank(layer_parts.read(stored)) if algorithm else None
    if layer_parts.SCALE in numbers:
        acting = layer_parts.SCALE
    elif layer_parts.ALPHA in numbers and rank is not None:
        acting = layer_parts.ALPHA
    else:
        return numbers, multiplied_parts(stored)
    return {**numbers, acting: (numbers[acting].double() * factor).to(torch.float32)}, biases
