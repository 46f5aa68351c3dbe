"""Stable Diffusion XL: kohya names its U-Net layers as the original checkpoint does, its encoders lora_te1, lora_te2.

The U-Net has 9 input blocks, a middle and 9 output blocks, with transformers of depth 2 and 10 where SD 1.x has depth
1. It is told a pooled vector of the second encoder and six numbers about size and crop. Both encoders (CLIP-L, OpenCLIP
bigG) give the states of their last layer but one, whatever clip skip says.
"""
from __future__ import annotations

import re

from lib_trainer.families.family import Family, TextEncoderFacts

_ATTENTION = re.compile(
    r"^lora_unet_(input_blocks_\d+|middle_block|output_blocks_\d+)_1_"
    r"(proj_in|proj_out|transformer_blocks_\d+_(attn[12]_to_([qkv]|out_0)|ff_net_(0_proj|2)))$"
)
_CONV = re.compile(
    r"^lora_unet_(((input_blocks_\d+|output_blocks_\d+)_0|middle_block_[02])"
    r"_(in_layers_2|emb_layers_1|out_layers_3|skip_connection)|input_blocks_\d+_0_op|output_blocks_\d+_[12]_conv)$"
)
_TEXT = re.compile(
    r"^lora_(te1_text_model_encoder_layers_(\d|1[01])|te2_text_model_encoder_layers_([12]?\d|3[01]))"
    r"_(self_attn_(q|k|v|out)_proj|mlp_fc[12])$"
)


def is_attention_layer(name: str) -> bool:
    """Whether LierLa adapts this U-Net layer (kohya layer name)."""
    return _ATTENTION.match(name) is not None


def is_conv_layer(name: str) -> bool:
    """Whether only C3Lier adapts this U-Net layer (kohya layer name)."""
    return _CONV.match(name) is not None


def is_text_layer(name: str) -> bool:
    """Whether a text-encoder LoRA adapts this layer (kohya layer name)."""
    return _TEXT.match(name) is not None


SDXL = Family(
    name="sdxl",
    label="SDXL",
    arch="sdxl",
    base_version="sdxl_base_v1-0",
    modelspec="stable-diffusion-xl-v1-base/lora",
    implementation="https://github.com/Stability-AI/generative-models",
    latent_scale=0.13025,
    resolution=1024,
    bucket_step=32,
    text_encoders=(
        TextEncoderFacts(prefix="lora_te1", layers=12, pad_is_eos=True),
        TextEncoderFacts(prefix="lora_te2", layers=32, pad_is_eos=False),
    ),
    is_attention_layer=is_attention_layer,
    is_conv_layer=is_conv_layer,
    is_text_layer=is_text_layer,
    bare_up_levels=(2,),
    head_width=64,
    empty_negative_is_zero=True,
    has_size_ids=True,
    has_clip_skip=False,
    named_as_ldm=True,
)
