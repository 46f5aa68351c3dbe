"""Stable Diffusion 2.x: the U-Net of SD 1.x with OpenCLIP's ViT-H as text encoder and, at 768 pixels, v-prediction.

kohya names the U-Net's layers as for SD 1.x. The encoder's last layer is never used by the model: 23 of its 24 layers
are adapted. Files come with 2-D or 4-D projections (`proj_in`, `proj_out`); both fit (see `lora.layers.from_tensors`).
"""
from __future__ import annotations

import re

from lib_trainer.families.family import Family, TextEncoderFacts
from lib_trainer.families.sd1 import is_attention_layer, is_conv_layer

_TEXT = re.compile(
    r"^lora_te_text_model_encoder_layers_(\d|1\d|2[0-2])_(self_attn_(q|k|v|out)_proj|mlp_fc[12])$"
)


def is_text_layer(name: str) -> bool:
    """Whether a text-encoder LoRA adapts this layer (kohya layer name)."""
    return _TEXT.match(name) is not None


SD2 = Family(
    name="sd2",
    label="SD 2.x",
    arch="sd15",
    base_version="sd_v2",
    base_version_v="sd_v2_v",
    modelspec="stable-diffusion-v2-512/lora",
    modelspec_v="stable-diffusion-v2-768-v/lora",
    implementation="diffusers",
    latent_scale=0.18215,
    resolution=512,
    resolution_v=768,
    bucket_step=64,
    text_encoders=(TextEncoderFacts(prefix="lora_te", layers=23, pad_is_eos=False),),
    is_attention_layer=is_attention_layer,
    is_conv_layer=is_conv_layer,
    is_text_layer=is_text_layer,
    bare_up_levels=(0,),
    head_width=64,
)
