"""OFT and BOFT: the outputs of a layer are turned by an orthogonal matrix, so the change depends on the weight.

OFT: Qiu et al. 2023, "Controlling Text-to-Image Diffusion by Orthogonal Finetuning" (arXiv:2306.07280): a block
diagonal matrix, each block the Cayley transform of a skew matrix. BOFT: Liu et al. 2023 (arXiv:2311.06243): several
such matrices, each over another order of the outputs (a butterfly). `alpha` is the bound of constrained OFT, per
output. Files of kohya, of LyCORIS and LyCORIS' first ones (`oft_diag`: the blocks themselves) are read.
"""
from __future__ import annotations

import torch
from torch import Tensor

from lib_trainer.lora.algorithms.parts import Parts


def oft(parts: Parts, weight: Tensor) -> Tensor:
    """Returns R W - W (with `rescale`: s R W - W) for a weight (outputs, ...)."""
    blocks = parts.get("oft_blocks")
    if blocks is None:
        turned = _turned(parts["oft_diag"], weight)
    elif blocks.dim() == 4:
        turned = _butterfly(rotations(blocks, parts, weight), weight)
    else:
        turned = _turned(rotations(blocks, parts, weight), weight)
    rescale = parts.get("rescale")
    if rescale is not None:
        turned = turned * rescale.reshape(-1, *(1 for _ in weight.shape[1:]))
    return turned - weight


def rotations(blocks: Tensor, parts: Parts, weight: Tensor) -> Tensor:
    """Returns the Cayley transforms (I + Q) (I - Q)^-1 of the skew parts Q of blocks (..., n, b, b)."""
    skew = blocks - blocks.transpose(-1, -2)
    bound = (parts.alpha or 0.0) * weight.shape[0]
    if bound > 0:
        norm = skew.norm() + 1e-8
        skew = skew * (norm.clamp(max=bound) / norm)
    one = torch.eye(blocks.shape[-1], device=blocks.device)
    return (one + skew) @ torch.linalg.inv(one - skew)


def _turned(rotations: Tensor, weight: Tensor) -> Tensor:
    """Turns each of the n groups of b outputs by its own (b, b) matrix, transposed as both trainers do."""
    groups = weight.reshape(*rotations.shape[:2], -1)
    return torch.einsum("knm,knx->kmx", rotations, groups).reshape(weight.shape)


def _butterfly(rotations: Tensor, weight: Tensor) -> Tensor:
    """Applies m stages (m, n, b, b): stage i mixes outputs that are 2^i * b/2 apart."""
    size = rotations.shape[-1]
    turned = weight.flatten(1)
    for stage, matrices in enumerate(rotations):
        stride = 2**stage * (size // 2)
        groups = turned.unflatten(0, (-1, 2, stride)).transpose(1, 2).flatten(0, 2).unflatten(0, (-1, size))
        mixed = torch.einsum("kij,kjx->kix", matrices, groups).flatten(0, 1)
        turned = mixed.unflatten(0, (-1, stride, 2)).transpose(1, 2).flatten(0, 2)
    return turned.reshape(weight.shape)
