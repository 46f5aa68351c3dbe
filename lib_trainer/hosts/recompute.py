"""Gradient checkpointing on a host's own modules: activations inside a block are computed again in backward.

Non-reentrant checkpoints (`torch.utils.checkpoint`), under which the adapters inside a block get their gradients
although the block's input needs none; the reentrant ones that the hosts bring along lose them.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

BLOCK_NAMES = frozenset(
    {"ResBlock", "ResnetBlock2D", "BasicTransformerBlock", "CLIPEncoderLayer", "ResidualAttentionBlock"})
"""Class names of the blocks worth recomputing: small enough to save memory, large enough to cost little."""


def blocks_of(networks: Sequence[torch.nn.Module]) -> list[torch.nn.Module]:
    """Returns the modules that `recomputed` is meant for: residual and transformer blocks, text encoder layers."""
    return [module for network in networks for module in network.modules() if type(module).__name__ in BLOCK_NAMES]


@contextmanager
def recomputed(
    blocks: Sequence[torch.nn.Module], made: dict[torch.nn.Module, Callable[..., Any]] | None = None
) -> Iterator[None]:
    """While open, every block's forward (its own, or one set on the instance) runs under a checkpoint.

    Works in eval mode and touches no flag. The random state is not kept: SD has no dropout. Backward must run while
    this is open.

    Args:
        blocks: see `blocks_of`.
        made: where the checkpointed forwards are kept from one time to the next, for a caller whose blocks never get
            another forward.
    """
    known = {} if made is None else made
    found = [block.__dict__.get("forward") for block in blocks]
    try:
        for block in blocks:
            if block not in known:
                known[block] = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
            block.__dict__["forward"] = known[block]
        yield
    finally:
        for block, forward in zip(blocks, found, strict=True):
            if forward is None:
                block.__dict__.pop("forward", None)
            else:
                block.__dict__["forward"] = forward
