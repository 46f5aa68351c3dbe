"""LoKr: the change is a Kronecker product of a small and a bigger matrix, either of which may be of low rank.

Yeh et al. 2023 (arXiv:2309.14859), section 3, after KronA (Edalati et al. 2022, arXiv:2212.10650).
"""
from __future__ import annotations

import torch
from torch import Tensor

from lib_trainer.lora.algorithms.low_rank import tucker
from lib_trainer.lora.algorithms.parts import Parts


def lokr(parts: Parts, weight: Tensor) -> Tensor:
    """Returns kron(w1, w2); a kernel's entries belong to w2.

    A flat w2 (outputs, inputs * k * k) gives the same numbers in the same order as a kernel does.
    """
    if "lokr_w1" in parts.names:
        first = parts.matrix("lokr_w1")
    else:
        first = parts["lokr_w1_a"] @ parts["lokr_w1_b"]
    return torch.kron(first, _second(parts).flatten(1).contiguous())


def _second(parts: Parts) -> Tensor:
    second, core = parts.get("lokr_w2"), parts.get("lokr_t2")
    if second is not None:
        return second
    if core is not None:
        return tucker(core, parts["lokr_w2_a"], parts["lokr_w2_b"])
    return parts.matrix("lokr_w2_a") @ parts.matrix("lokr_w2_b")


def lokr_rank(parts: Parts) -> int | None:
    """Returns the rank of the low-rank half; None where both halves are whole: then alpha means nothing."""
    for part in ("lokr_w2_b", "lokr_w1_b"):
        factor = parts.get(part)
        if factor is not None:
            return factor.shape[0]
    return None
