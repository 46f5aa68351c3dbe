"""Names the layers that a LoRA may adapt, kohya's way, and frees memory of their activations in training."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch.utils.checkpoint import checkpoint
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from lib_trainer.families import sd1
from lib_trainer.host import Target

CHECKPOINTED = (ResnetBlock2D, BasicTransformerBlock, CLIPEncoderLayer)
"""Blocks whose inside is recomputed in backward: small enough to save memory, large enough to cost little."""


LOADABLE = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm)
"""Modules that some kind of network file changes."""


def targets(unet: torch.nn.Module, text_encoder: torch.nn.Module) -> list[Target]:
    """Returns every layer of the text encoder and the U-Net that is trained on, in model order."""
    return [
        target for target in loadable(unet, text_encoder)
        if sd1.is_text_layer(target.name) or sd1.is_attention_layer(target.name) or sd1.is_conv_layer(target.name)
    ]


def loadable(unet: torch.nn.Module, text_encoder: torch.nn.Module) -> list[Target]:
    """Returns every layer that a file may change: norms, the time embedding, the first and last layers as well.

    diffusers' module paths with dots as underscores are kohya's names for SD 1.x.
    """
    return [
        Target(name=prefix + path.replace(".", "_"), module=module)
        for prefix, network in (("lora_te_", text_encoder), ("lora_unet_", unet))
        for path, module in network.named_modules() if isinstance(module, LOADABLE)
    ]


@contextmanager
def checkpointing(*networks: torch.nn.Module) -> Iterator[None]:
    """Recomputes the blocks' activations in backward while open.

    Uses non-reentrant checkpoints, under which the adapters' parameters inside a block get their gradients although
    the block's input needs none. Works in eval mode and touches no flag of the networks. The global random state is
    not saved: SD has no dropout. Backward must run while this is open.
    """
    blocks = [module for network in networks for module in network.modules() if isinstance(module, CHECKPOINTED)]
    found = [block.__dict__.get("forward") for block in blocks]
    try:
        for block in blocks:
            recomputed = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
            block.__dict__["forward"] = recomputed
        yield
    finally:
        for block, forward in zip(blocks, found, strict=True):
            if forward is None:
                block.__dict__.pop("forward", None)
            else:
                block.__dict__["forward"] = forward
