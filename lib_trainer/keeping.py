"""How a run wants the model kept in memory while it lasts.

A host that cannot keep it so says why (`Host.obstacles`), or that a wish changes nothing there (`Host.remarks`).
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Precisions as the settings name them, and what torch calls them."""

STORAGES = ("auto", "fp8", "fp8_unet")
ATTENTIONS = ("auto", "sdpa", "flash", "xformers", "math")


@dataclass(frozen=True)
class Keeping:
    """The wishes; the defaults leave everything as the host has it.

    Attributes:
        dtype: what U-Net and text encoders are stored and computed in: "fp32", "bf16", "fp16"; "auto" = as they are.
            A host that cannot change it lets the caller cast on the fly.
        storage: "fp8" = the big weights of U-Net and text encoders are kept in 8 bits and cast where they are used,
            "fp8_unet" = those of the U-Net alone, "auto" = as they are.
        offload: whether what a phase does not need rests in main memory.
        attention: which implementation of attention runs, one of ATTENTIONS; "auto" = the host's.
        compile: whether the U-Net is compiled for training.
    """

    dtype: str = "auto"
    storage: str = "auto"
    offload: bool = False
    attention: str = "auto"
    compile: bool = False


AS_IT_IS = Keeping()
"""No wishes."""


def dtype_named(precision: str) -> torch.dtype | None:
    """Returns torch's dtype of one of DTYPES, None of any other word, such as "auto"."""
    import torch

    found: torch.dtype | None = getattr(torch, DTYPES[precision]) if precision in DTYPES else None
    return found
