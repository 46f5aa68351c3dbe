"""Limits how far a network may go: layers whose change is too long are shortened (sd-scripts' scale_weight_norms).

For every layer n = |change| (Frobenius), and where n > M the change is multiplied by M / n, in the factors that it is a
multiple of. The layers' lengths stay on the device until one transfer at the end.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch

from lib_trainer.lora.network import Network


@dataclass(frozen=True)
class Norms:
    """Lengths of the layers after the limit.

    Attributes:
        shortened: how many were too long. mean, greatest: of the lengths as they are now.
    """

    shortened: int
    mean: float
    greatest: float


def limit(network: Network, greatest: float) -> Norms:
    """Shortens every layer that is longer than allowed; those that do not learn are left as they are.

    Args:
        network: the adapters; changed in place.
        greatest: M, > 0.
    """
    lengths = []
    learning = [layer for layer in network.layers.values() if any(p.requires_grad for p in layer.parameters())]
    for layer in learning:
        length = layer.norm()
        # At most 1, and exactly 1 for a layer that is short enough: multiplying by it changes no bit.
        allowed = torch.full_like(length, greatest)
        layer.scale_by((allowed / length.clamp_min(greatest / 2)).clamp(max=1.0))
        lengths.append(length)
    if not lengths:
        return Norms(0, 0.0, 0.0)
    found = torch.stack([length.to(lengths[0].device) for length in lengths]).cpu()
    now = found.clamp(max=greatest)
    return Norms(int((found > greatest).sum()), float(now.mean()), float(now.max()))
