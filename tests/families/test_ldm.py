"""Layer names and module paths: examples of both spellings, and every layer of real files there and back."""
from __future__ import annotations

import pytest

from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from tests.families import layer_tables

FAMILIES = [(SD1, "sd15"), (SD2, "sd2"), (SDXL, "sdxl")]

_SD1 = [
    ("input_blocks.0.0", "conv_in"),
    ("input_blocks.1.1.transformer_blocks.0.attn1.to_q", "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"),
    ("input_blocks.2.0.in_layers.0", "down_blocks_0_resnets_1_norm1"),
    ("input_blocks.2.0.in_layers.2", "down_blocks_0_resnets_1_conv1"),
    ("input_blocks.3.0.op", "down_blocks_0_downsamplers_0_conv"),
    ("input_blocks.4.0.skip_connection", "down_blocks_1_resnets_0_conv_shortcut"),
    ("input_blocks.11.0.emb_layers.1", "down_blocks_3_resnets_1_time_emb_proj"),
    ("middle_block.0.out_layers.3", "mid_block_resnets_0_conv2"),
    ("middle_block.1.proj_in", "mid_block_attentions_0_proj_in"),
    ("middle_block.2.out_layers.0", "mid_block_resnets_1_norm2"),
    ("output_blocks.2.1.conv", "up_blocks_0_upsamplers_0_conv"),
    ("output_blocks.5.2.conv", "up_blocks_1_upsamplers_0_conv"),
    ("output_blocks.8.2.conv", "up_blocks_2_upsamplers_0_conv"),
    ("output_blocks.11.1.transformer_blocks.0.ff.net.0.proj",
     "up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj"),
    ("output_blocks.11.1.transformer_blocks.0.attn2.to_out.0",
     "up_blocks_3_attentions_2_transformer_blocks_0_attn2_to_out_0"),
    ("time_embed.2", "time_embedding_linear_2"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
]
_SDXL = [
    ("input_blocks.4.1.transformer_blocks.1.attn2.to_k", "down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_k"),
    ("input_blocks.6.0.op", "down_blocks_1_downsamplers_0_conv"),
    ("middle_block.1.transformer_blocks.9.ff.net.2", "mid_block_attentions_0_transformer_blocks_9_ff_net_2"),
    ("output_blocks.2.2.conv", "up_blocks_0_upsamplers_0_conv"),
    ("output_blocks.5.2.conv", "up_blocks_1_upsamplers_0_conv"),
    ("output_blocks.8.0.skip_connection", "up_blocks_2_resnets_2_conv_shortcut"),
    ("label_emb.0.2", "add_embedding_linear_2"),
]


@pytest.mark.parametrize(("path", "name"), _SD1)
@pytest.mark.parametrize("family", [SD1, SD2])
def test_sd1_and_sd2_follow_diffusers(path: str, name: str, family: Family) -> None:
    assert ldm.unet_layer(path, family) == f"lora_unet_{name}"
    assert ldm.unet_path(f"lora_unet_{name}", family) == path


@pytest.mark.parametrize(("path", "diffusers"), _SDXL)
def test_sdxl_follows_the_original_and_reads_both(path: str, diffusers: str) -> None:
    name = "lora_unet_" + path.replace(".", "_")
    assert ldm.unet_layer(path, SDXL) == name
    assert ldm.unet_path(name, SDXL) == ldm.unet_path(f"lora_unet_{diffusers}", SDXL) == path


@pytest.mark.parametrize(("family", "table"), FAMILIES)
@pytest.mark.parametrize("part", ["lierla", "c3lier_adds"])
def test_every_unet_layer_there_and_back(family: Family, table: str, part: str) -> None:
    names = [name for name in layer_tables.read(table, part) if name.startswith("lora_unet_")]
    paths = {name: ldm.unet_path(name, family) for name in names}
    assert None not in paths.values() and len(set(paths.values())) == len(names)
    assert {name: ldm.unet_layer(path or "", family) for name, path in paths.items()} == {name: name for name in names}


@pytest.mark.parametrize("path", [
    "", "input_blocks.1", "input_blocks.1.1", "input_blocks.1.0.in_layers.1", "input_blocks.1.0.op",
    "input_blocks.3.1.conv", "output_blocks.1.1.conv", "output_blocks.5.0.conv", "middle_block.3.proj_in",
    "input_blocks.1.1.transformer_blocks.0.attn1", "model.input_blocks.1.1.proj_in", "anything",
])
def test_modules_without_a_layer(path: str) -> None:
    assert ldm.unet_layer(path, SD1) is None and ldm.unet_layer(path, SDXL) is None


@pytest.mark.parametrize("name", [
    "", "lora_unet_", "lora_te_text_model_encoder_layers_0_mlp_fc1", "lora_unet_anything",
    "lora_unet_down_blocks_0_motion_modules_0_proj_in", "down_blocks_0_attentions_0_proj_in",
    "lora_unet_down_blocks_0_attentions_0_proj", "lora_unet_mid_block_resnets_0_conv3",
])
def test_names_without_a_module(name: str) -> None:
    assert ldm.unet_path(name, SD1) is None and ldm.unet_path(name, SDXL) is None


@pytest.mark.parametrize(("family", "table"), FAMILIES)
@pytest.mark.parametrize("build", [ldm.HF, ldm.OPEN_CLIP])
def test_every_text_layer_there_and_back(family: Family, table: str, build: str) -> None:
    names = {name for name in layer_tables.read(table, "lierla") if not name.startswith("lora_unet_")}
    for encoder in family.text_encoders:
        own = {name for name in names if name.startswith(encoder.prefix + "_")}
        places = {name: ldm.text_place(name, encoder.prefix, build) for name in own}
        paths = {place.path for place in places.values() if place}
        found = {name: place for path in paths for name, place in ldm.text_layers(path, encoder.prefix).items()}
        assert own and found == places
        # q, k and v share a weight in open_clip: 4 modules for 6 layers
        assert len(paths) * 6 == len(own) * (6 if build == ldm.HF else 4)


def test_wrapped_encoders_and_fused_attention() -> None:
    assert list(ldm.text_layers("wrapped.transformer.text_model.encoder.layers.0.self_attn.q_proj", "lora_te")) == [
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj"]
    fused = ldm.text_layers("embedders.1.model.transformer.resblocks.3.attn", "lora_te2")
    assert {name[len("lora_te2_text_model_encoder_layers_3_self_attn_"):]: place.rows(12)
            for name, place in fused.items()} == {
        "q_proj": slice(0, 4), "k_proj": slice(4, 8), "v_proj": slice(8, 12)}
    assert ldm.text_layers("transformer.resblocks.3.mlp.c_proj", "lora_te") == {
        "lora_te_text_model_encoder_layers_3_mlp_fc2": ldm.Place("transformer.resblocks.3.mlp.c_proj")}
    assert ldm.Place("anything").rows(12) is None


@pytest.mark.parametrize("path", ["text_model.final_layer_norm", "transformer.resblocks.0.ln_1", "text_projection",
                                  "text_model.embeddings.token_embedding", "transformer.resblocks.0.mlp", ""])
def test_text_modules_without_a_layer(path: str) -> None:
    assert ldm.text_layers(path, "lora_te") == {}


def test_text_names_of_another_encoder() -> None:
    assert ldm.text_place("lora_te2_text_model_encoder_layers_0_mlp_fc1", "lora_te1", ldm.HF) is None
    assert ldm.text_place("lora_te_text_model_final_layer_norm", "lora_te", ldm.OPEN_CLIP) is None


@pytest.mark.parametrize(("path", "name"), [
    ("text_model.encoder.layers.3.layer_norm2", "lora_te_text_model_encoder_layers_3_layer_norm2"),
    ("wrapped.transformer.text_model.final_layer_norm", "lora_te_text_model_final_layer_norm"),
    ("transformer.resblocks.11.ln_1", "lora_te_text_model_encoder_layers_11_layer_norm1"),
    ("ln_final", "lora_te_text_model_final_layer_norm"),
    ("text_model.encoder.layers.3.mlp.fc1", None), ("transformer.resblocks.11.attn", None),
])
def test_norms_of_both_builds_have_transformers_names(path: str, name: str | None) -> None:
    assert ldm.text_norm(path, "lora_te") == name
