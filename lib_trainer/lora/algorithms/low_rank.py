"""Kinds whose change is a product of thin matrices: LoRA and LoCon, LoHa, GLoRA.

LoRA: Hu et al. 2021 (arXiv:2106.09685), eq. 3. LoCon, LoHa and their Tucker form for kernels: Yeh et al. 2023,
"Navigating Text-To-Image Customization" (arXiv:2309.14859), after FedPara (Hyeon-Woo et al. 2021, arXiv:2108.06098).
GLoRA: Chavan et al. 2023, "One-for-All" (arXiv:2306.07967). Every function returns the product before alpha / rank, in
a shape with the weight's number of entries.
"""
from __future__ import annotations

import torch
from torch import Tensor

from lib_trainer.lora.algorithms.parts import Parts


def tucker(core: Tensor, outer: Tensor, inner: Tensor) -> Tensor:
    """Returns the kernel (outputs, inputs, k, k) of a core (r, s, k, k) between (r, outputs) and (s, inputs)."""
    return torch.einsum("rskl,ro,si->oikl", core, outer, inner)


def lora(parts: Parts, weight: Tensor) -> Tensor:
    """Returns up @ down; with Tucker's mid, the kernel mid between the 1x1 down and up."""
    up, down, mid = parts.matrix("lora_up.weight"), parts.matrix("lora_down.weight"), parts.get("lora_mid.weight")
    return up @ down if mid is None else tucker(mid, up.T, down)


def lora_rank(parts: Parts) -> int:
    """Returns the rank of LoRA's factors."""
    return parts["lora_down.weight"].shape[0]


def loha(parts: Parts, weight: Tensor) -> Tensor:
    """Returns the product, entry by entry, of two low-rank matrices (Tucker: kernels)."""
    return _half(parts, "1") * _half(parts, "2")


def _half(parts: Parts, number: str) -> Tensor:
    core = parts.get(f"hada_t{number}")
    if core is None:
        return parts.matrix(f"hada_w{number}_a") @ parts.matrix(f"hada_w{number}_b")
    return tucker(core, parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"])


def loha_rank(parts: Parts) -> int:
    """Returns the rank of each of LoHa's two halves."""
    return parts["hada_w1_b"].shape[0]


def glora(parts: Parts, weight: Tensor) -> Tensor:
    """Returns W A + B for a weight W (outputs, inputs, ...), where A acts on the inputs and B is of W's shape."""
    a1, a2, b1, b2 = (parts.matrix(f"{part}.weight") for part in glora_order(parts, weight))
    mid = parts.get("bm.weight")
    added = b1 @ b2 if mid is None else tucker(mid, b1.T, b2).flatten(1)
    changed = torch.einsum("oi...,ij->oj...", torch.einsum("oi...,ij->oj...", weight, a1), a2)
    return changed + added.reshape(weight.shape)


def glora_rank(parts: Parts) -> int:
    """Returns the rank of GLoRA's A: the short side of its factors, by either of the two spellings."""
    return min(parts["a1.weight"].shape[:2])


def glora_order(parts: Parts, weight: Tensor) -> tuple[str, str, str, str]:
    """Returns the names in the order (inputs, r), (r, inputs), (outputs, r), (r, inputs).

    The first LyCORIS versions named the factors the other way about; only the shapes tell.
    """
    b1, b2 = parts["b1.weight"], parts["b2.weight"]
    is_old = b2.shape[0] == weight.shape[0] and b1.shape[0] == b2.shape[1] and b1.shape[0] != weight.shape[0]
    return ("a2", "a1", "b2", "b1") if is_old else ("a1", "a2", "b1", "b2")
