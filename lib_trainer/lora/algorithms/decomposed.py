"""DoRA: direction and length of a weight apart, on top of any other kind.

Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation" (arXiv:2402.09353), eq. 5: W' = m (W + dW) / ||W + dW||.
The length is taken per output (LyCORIS' present way: `dora_scale` is (outputs, 1, ...)) or per input (its first way,
(1, inputs, ...)); the tensor's shape tells which, as the WebUIs tell it.
"""
from __future__ import annotations

import torch
from torch import Tensor


def decomposed(weight: Tensor, delta: Tensor, dora_scale: Tensor) -> Tensor:
    """Returns the whole change W' - W.

    Args:
        weight: W, (outputs, inputs, ...). delta: what the kind underneath adds, of the same shape.
        dora_scale: m, one length per output or per input.
    """
    merged = weight + delta
    axis = 0 if dora_scale.shape[0] == weight.shape[0] else 1
    others = [other for other in range(weight.dim()) if other != axis]
    # A channel of nothing but zeros has no direction: it stays zero instead of becoming 0 / 0.
    length = torch.linalg.vector_norm(merged, dim=others, keepdim=True).clamp_min(torch.finfo(merged.dtype).tiny)
    return merged * (dora_scale.reshape(length.shape) / length) - weight
