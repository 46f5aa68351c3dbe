"""The layers that a LoRA may adapt, in networks built as the original checkpoints are; see `families.ldm` for names.

The lists are asked for at every step, so they are kept as long as the network they belong to.
"""
from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

import torch

from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.host_model import Target

_known: WeakKeyDictionary[torch.nn.Module, list[Target]] = WeakKeyDictionary()
_others: WeakKeyDictionary[torch.nn.Module, list[Target]] = WeakKeyDictionary()


def unet_targets(unet: torch.nn.Module, family: Family) -> list[Target]:
    """Returns the U-Net's layers in model order.

    Args:
        unet: the diffusion model itself: its children are `input_blocks`, `middle_block`, `output_blocks` ...
        family: whose names and whose choice of layers.
    """
    if unet not in _known:
        named = ((ldm.unet_layer(path, family), module) for path, module in unet.named_modules())
        _known[unet] = [
            Target(name, module) for name, module in named
            if name and (family.is_attention_layer(name) or family.is_conv_layer(name))
            and hasattr(module, "weight")  # where widths are equal, skip_connection is an Identity
        ]
    return _known[unet]


def text_targets(encoder: torch.nn.Module, prefix: str, family: Family) -> list[Target]:
    """Returns the layers of a text encoder that transformers built, in model order.

    Args:
        encoder: transformers' CLIPTextModel, or a module around it.
        prefix: kohya prefix of the encoder: "lora_te", "lora_te1" or "lora_te2".
        family: whose choice of layers.
    """
    if encoder not in _known:
        _known[encoder] = [
            Target(name, module)
            for path, module in encoder.named_modules()
            for name in ldm.text_layers(path, prefix)
            if family.is_text_layer(name)
        ]
    return _known[encoder]


def other_targets(
    unet: torch.nn.Module, encoders: Iterable[tuple[torch.nn.Module, str]], family: Family
) -> list[Target]:
    """Returns the layers that no training adapts but a LoRA file may change, in model order.

    Args:
        unet: as for `unet_targets`.
        encoders: each text encoder with its kohya prefix, as for `text_targets`.
        family: whose names and whose choice of layers.
    """
    norms = [target for encoder, prefix in encoders for target in _text_norms(encoder, prefix)]
    return norms + _outside(unet, family)


def _text_norms(encoder: torch.nn.Module, prefix: str) -> list[Target]:
    if encoder not in _others:
        named = ((ldm.text_norm(path, prefix), module) for path, module in encoder.named_modules())
        _others[encoder] = [Target(name, module) for name, module in named if name]
    return _others[encoder]


def _outside(unet: torch.nn.Module, family: Family) -> list[Target]:
    if unet not in _others:
        named = ((ldm.unet_layer(path, family), module) for path, module in unet.named_modules())
        _others[unet] = [
            Target(name, module) for name, module in named
            if name and hasattr(module, "weight")  # Forge's Linear is none of torch's
            and not (family.is_attention_layer(name) or family.is_conv_layer(name))
        ]
    return _others[unet]
