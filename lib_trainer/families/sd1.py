"""Stable Diffusion 1.x: kohya names its U-Net layers as diffusers does, and its one text encoder `lora_te`.

Which layers a LoRA adapts: LierLa takes attention, feed-forward and the projections of every transformer block; C3Lier
adds the residual blocks and the samplers. `conv_in`, `conv_out`, the time embedding and all norms are never adapted.
"""
from __future__ import annotations

import re

from lib_trainer.families.family import Family, TextEncoderFacts

_ATTENTION = re.compile(
    r"^lora_unet_(down_blocks_\d+|mid_block|up_blocks_\d+)_attentions_\d+_"
    r"(proj_in|proj_out|transformer_blocks_\d+_(attn[12]_to_([qkv]|out_0)|ff_net_(0_proj|2)))$"
)
_TEXT = re.compile(
    r"^lora_te_text_model_encoder_layers_\d+_(self_attn_(q|k|v|out)_proj|mlp_fc[12])$"
)
_CONV = re.compile(
    r"^lora_unet_(down_blocks_\d+|mid_block|up_blocks_\d+)_"
    r"(resnets_\d+_(conv1|conv2|time_emb_proj|conv_shortcut)|(down|up)samplers_0_conv)$"
)


def is_attention_layer(name: str) -> bool:
    """Whether LierLa adapts this U-Net layer (kohya layer name)."""
    return _ATTENTION.match(name) is not None


def is_text_layer(name: str) -> bool:
    """Whether a text-encoder LoRA adapts this layer (kohya layer name)."""
    return _TEXT.match(name) is not None


def is_conv_layer(name: str) -> bool:
    """Whether only C3Lier adapts this U-Net layer (kohya layer name)."""
    return _CONV.match(name) is not None


SD1 = Family(
    name="sd1",
    label="SD 1.x",
    arch="sd15",
    base_version="sd_v1",
    base_version_v="sd_v1_v",
    modelspec="stable-diffusion-v1/lora",
    implementation="diffusers",
    latent_scale=0.18215,
    resolution=512,
    bucket_step=64,
    text_encoders=(TextEncoderFacts(prefix="lora_te", layers=12, pad_is_eos=True),),
    is_attention_layer=is_attention_layer,
    is_conv_layer=is_conv_layer,
    is_text_layer=is_text_layer,
    bare_up_levels=(0,),
    heads=8,
)
