"""Forge's network blocks as training needs them.

Forge's transformer block adds into its input in place, which destroys what autograd saved of it. Here the same sums are
made out of place, in the same order, so the values are the same to the last bit. (The other remedy,
`torch.autograd.graph.allow_mutation_on_saved_tensors`, sends every operation through Python and copies what is
overwritten: a step of a small model took twice as long.)
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch


def transformer_forward(
    block: Any, x: torch.Tensor, context: torch.Tensor | None = None, transformer_options: object = None
) -> torch.Tensor:
    """Runs a transformer block without in-place operations.

    Args:
        block: of the U-Net of an SD 1.x, SD 2.x or SDXL checkpoint.
        x: (B, T, C).
        context: text states (B, S, D).
        transformer_options: what patches of a generation want of the block; there are none in training.
    """
    x = x + block.attn1(block.norm1(x), context=context if block.disable_self_attn else None)
    x = x + block.attn2(block.norm2(x), context=context)
    return block.ff(block.norm3(x)) + x


def transformer_blocks(unet: torch.nn.Module) -> list[torch.nn.Module]:
    """Returns the U-Net's transformer blocks, by the name of their class: Forge's own cannot be imported here."""
    return [module for module in unet.modules() if type(module).__name__ == "BasicTransformerBlock"]


@contextmanager
def out_of_place(blocks: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Has transformer blocks run `transformer_forward` while open."""
    found = [(block.__dict__, block.__dict__.get("forward")) for block in blocks]
    try:
        for block, (names, _) in zip(blocks, found, strict=True):
            names["forward"] = partial(transformer_forward, block)
        yield
    finally:
        for names, forward in found:
            if forward is None:
                names.pop("forward", None)
            else:
                names["forward"] = forward
