"""Names the layers that a LoRA may adapt, kohya's way."""
from __future__ import annotations

from collections.abc import Sequence

import torch

from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.host_model import Target

LOADABLE = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm)
"""Modules that some kind of network file changes."""

Encoders = Sequence[tuple[str, torch.nn.Module]]
"""Text encoders with kohya's prefixes."""


def targets(unet: torch.nn.Module, encoders: Encoders, family: Family) -> list[Target]:
    """Returns every layer of the text encoders and the U-Net that is trained on, in model order."""
    return [
        target for target in loadable(unet, encoders, family)
        if family.is_text_layer(target.name) or family.is_attention_layer(target.name)
        or family.is_conv_layer(target.name)
    ]


def loadable(unet: torch.nn.Module, encoders: Encoders, family: Family) -> list[Target]:
    """Returns every layer that a file may change: norms, the time embedding, the first and last layers as well."""
    text = [
        Target(name=f"{prefix}_{path.replace('.', '_')}", module=module)
        for prefix, network in encoders
        for path, module in network.named_modules() if isinstance(module, LOADABLE)
    ]
    return text + [
        Target(name=_unet_name(path, family), module=module)
        for path, module in unet.named_modules() if isinstance(module, LOADABLE)
    ]


def _unet_name(path: str, family: Family) -> str:
    """diffusers' module paths with dots as underscores are kohya's names, but for families named as the original."""
    name = ldm.PREFIX + path.replace(".", "_")
    if not family.named_as_ldm:
        return name
    original = ldm.unet_path(name, family)
    return (ldm.unet_layer(original, family) if original else None) or name
