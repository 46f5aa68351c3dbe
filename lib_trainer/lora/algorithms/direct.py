"""Kinds that store the change itself, or one number per channel: full differences, norms, (IA)3.

(IA)3: Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper" (arXiv:2205.05638), stored by
LyCORIS as the difference from 1.
"""
from __future__ import annotations

from torch import Tensor

from lib_trainer.lora.algorithms.parts import Parts


def difference(parts: Parts, weight: Tensor) -> Tensor:
    """Returns the stored difference of the weight."""
    return parts["diff"]


def norm(parts: Parts, weight: Tensor) -> Tensor:
    """Returns the stored difference of a norm's weight (channels)."""
    return parts["w_norm"]


def ia3(parts: Parts, weight: Tensor) -> Tensor:
    """Returns W times one number per output, or per input."""
    across = (1 for _ in weight.shape[2:])
    shape = (1, -1, *across) if parts.on_input else (-1, 1, *across)
    return weight * parts["weight"].reshape(shape)
