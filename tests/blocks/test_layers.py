"""Layer name -> block, against the index that the peer's own code gave every layer (block_index.json)."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_trainer.blocks.layers import block_of, is_text_encoder, layer_names
from lib_trainer.blocks.layouts import BLOCKS_26

_INDEX = json.loads((Path(__file__).parent.parent / "data" / "block_index.json").read_text("utf-8"))
"""Place in the 26 names -> layers of a LoRA with convolutions; of SDXL's equal transformer blocks only the last."""


@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
def test_every_layer_of_a_real_file_is_in_the_peers_block(arch: str) -> None:
    for place, layers in _INDEX[arch].items():
        assert {block_of(layer, arch) for layer in layers} == {BLOCKS_26[int(place)]}


_OTHER_NAMES = [
    ("sd15", "lora_unet_conv_in", "IN00"),
    ("sd15", "lora_unet_input_blocks_0_0", "IN00"),
    ("sd15", "lora_unet_input_blocks_3_0_op", "IN03"),
    ("sd15", "lora_unet_input_blocks_11_0_in_layers_2", "IN11"),
    ("sd15", "lora_unet_middle_block_1_proj_in", "M00"),
    ("sd15", "lora_unet_output_blocks_2_1_conv", "OUT02"),
    ("sd15", "lora_unet_output_blocks_11_1_proj_out", "OUT11"),
    ("sd15", "lora_unet_up_blocks_2_upsamplers_0_conv", "OUT08"),
    ("sd15", "lora_unet_down_blocks_0_resnets_0_norm1", "IN01"),
    ("sd15", "lycoris_unet_mid_block_resnets_1_conv1", "M00"),
    ("sd15", "lycoris_down_blocks_2_attentions_1_proj_in", "IN08"),
    ("sd15", "oft_unet_up_blocks_1_attentions_2_proj_out", "OUT05"),
    ("sd15", "diffusion_model_output_blocks_3_1_proj_in", "OUT03"),
    ("sd15", "lora_te_text_model_encoder_layers_11_self_attn_q_proj", "BASE"),
    ("sd15", "lycoris_te_text_model_encoder_layers_0_mlp_fc1", "BASE"),
    ("sd15", "transformer_text_model_encoder_layers_3_mlp_fc2", "BASE"),
    ("sd15", "model_transformer_resblocks_22_mlp_c_fc", "BASE"),
    ("sdxl", "lora_unet_down_blocks_1_attentions_0_proj_in", "IN04"),
    ("sdxl", "lora_unet_down_blocks_2_resnets_1_conv1", "IN08"),
    ("sdxl", "lora_unet_down_blocks_1_downsamplers_0_conv", "IN06"),
    ("sdxl", "lora_unet_mid_block_attentions_0_transformer_blocks_9_ff_net_2", "M00"),
    ("sdxl", "lora_unet_up_blocks_0_upsamplers_0_conv", "OUT02"),
    ("sdxl", "lora_unet_up_blocks_2_resnets_2_conv2", "OUT08"),
    ("sdxl", "lora_te2_text_model_encoder_layers_31_mlp_fc1", "BASE"),
    ("sdxl", "1_model_transformer_resblocks_0_attn_in_proj", "BASE"),
]


@pytest.mark.parametrize(("arch", "layer", "block"), _OTHER_NAMES)
def test_other_ways_to_name_a_layer(arch: str, layer: str, block: str) -> None:
    assert block_of(layer, arch) == block


@pytest.mark.parametrize("layer", [
    "lora_unet_time_embedding_linear_1", "lora_unet_conv_out", "lora_unet_conv_norm_out", "lora_unet_time_embed_0",
    "lora_unet_label_emb_0_0", "lora_unet_out_2", "lora_unet_add_embedding_linear_1",
    "lora_te_text_model_embeddings_token_embedding", "lora_te_text_model_final_layer_norm",
    "lora_unet_down_blocks_4_resnets_0_conv1", "lora_unet_down_blocks_0_resnets_2_conv1",
    "lora_unet_input_blocks_12_0_in_layers_2", "lora_unet_down_blocks_0_motion_modules_0_proj_in", "", "anything",
])
def test_layers_in_no_block(layer: str) -> None:
    assert block_of(layer, "sd15") is None
    assert block_of(layer, "sdxl") is None


def test_sdxl_has_no_blocks_past_8() -> None:
    assert block_of("lora_unet_input_blocks_9_0_op", "sdxl") is None
    assert block_of("lora_unet_up_blocks_3_resnets_0_conv1", "sdxl") is None


@pytest.mark.parametrize(("layer", "is_text"), [
    ("lora_te_text_model_final_layer_norm", True), ("lora_te1_text_model_embeddings_position_embedding", True),
    ("lora_unet_mid_block_attentions_0_transformer_blocks_0_norm1", False), ("lora_unet_time_embed_0", False),
])
def test_is_text_encoder(layer: str, is_text: bool) -> None:
    assert is_text_encoder(layer) is is_text


def test_layer_names_of_every_kind_of_tensor() -> None:
    parts = ["alpha", "lora_down.weight", "lora_up.weight", "lora_mid.weight", "hada_w1_a", "lokr_w2_b", "diff",
             "diff_b", "w_norm", "dora_scale", "a1.weight", "oft_blocks", "on_input"]
    keys = [f"lora_unet_conv_in.{part}" for part in parts]
    assert layer_names([*keys, "lora_te_x", "__metadata__", "bundle_emb.a.string_to_param.*"]) == [
        "lora_unet_conv_in", "lora_te_x"]
