"""Models for the LoRA tests: small layers of every kind, and the true-size SD 1.5 on the meta device."""
from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.host_model import Target
from lib_trainer.lora.choice import NetworkSpec

ATTENTION = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
PROJECTION = "lora_unet_down_blocks_0_attentions_0_proj_in"
KERNEL = "lora_unet_down_blocks_0_resnets_0_conv1"
STRIDED = "lora_unet_down_blocks_0_downsamplers_0_conv"
SHORTCUT = "lora_unet_up_blocks_3_resnets_0_conv_shortcut"
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"

_SDXL_DOWN, _SDXL_UP = ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2), (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D")
_UNETS: dict[str, dict[str, Any]] = {
    "sd2": {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": False},
    "sdxl": {"cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20), "use_linear_projection": True,
             "block_out_channels": (320, 640, 1280), "down_block_types": _SDXL_DOWN, "up_block_types": _SDXL_UP,
             "transformer_layers_per_block": (1, 2, 10)},
}
"""diffusers' arguments of the true-size U-Nets."""

EVERYTHING = NetworkSpec(rank=3, alpha=1.5, conv_rank=2, conv_alpha=4.0)


def layers(dtype: torch.dtype = torch.float32) -> list[Target]:
    """Returns one frozen, seeded host layer of every kind, named as SD 1.x names them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules: dict[str, nn.Module] = {
            ATTENTION: nn.Linear(6, 8),
            PROJECTION: nn.Conv2d(6, 8, 1),
            KERNEL: nn.Conv2d(6, 8, 3, padding=1),
            STRIDED: nn.Conv2d(6, 8, 3, stride=2, padding=1),
            SHORTCUT: nn.Conv2d(6, 8, 1),
            TEXT: nn.Linear(6, 8),
        }
    return [Target(name, module.requires_grad_(False).to(dtype)) for name, module in modules.items()]


def input_for(target: Target, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Returns a batch of inputs that fits a layer of `layers`."""
    shape = (2, 6, 7, 5) if isinstance(target.module, nn.Conv2d) else (2, 5, 6)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


@functools.cache
def true_size_unet(family: Family) -> tuple[Target, ...]:
    """Returns every Linear and Conv2d of a family's true-size U-Net (meta device), by kohya's names.

    diffusers builds the network; its paths become the original's by `ldm.unet_path` and names by `ldm.unet_layer`.
    """
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(**_UNETS[family.name])
    found = []
    for path, module in unet.named_modules():
        original = ldm.unet_path("lora_unet_" + path.replace(".", "_"), family)
        name = ldm.unet_layer(original, family) if original else None
        if name and isinstance(module, nn.Linear | nn.Conv2d):
            found.append(Target(name, module))
    return tuple(found)


@functools.cache
def true_size_targets() -> tuple[Target, ...]:
    """Returns every Linear and Conv2d of SD 1.5's U-Net and text encoder, weightless (meta device)."""
    return tuple(target for target in true_size_sd15() if isinstance(target.module, nn.Linear | nn.Conv2d))


@functools.cache
def true_size_sd15() -> tuple[Target, ...]:
    """Returns what `true_size_targets` does and the norms of both networks."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
        text = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12))
    return tuple(
        Target(f"{prefix}_{path}".replace(".", "_"), module)
        for prefix, network in (("lora_te", text), ("lora_unet", unet))
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.LayerNorm | nn.GroupNorm)
    )
