"""Which layers each family adapts, held against the layers of real sd-scripts files."""
from __future__ import annotations

import pytest

from lib_trainer.blocks.layers import block_of
from lib_trainer.blocks.layouts import ARCH_BLOCKS, LORA_BLOCKS
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from tests.families import layer_tables

FAMILIES = [(SD1, "sd15"), (SD2, "sd2"), (SDXL, "sdxl")]


@pytest.mark.parametrize(("family", "table"), FAMILIES)
def test_every_layer_is_of_one_kind(family: Family, table: str) -> None:
    plain, added = layer_tables.read(table, "lierla"), layer_tables.read(table, "c3lier_adds")
    assert not plain.keys() & added.keys()
    for name in plain:
        is_unet = name.startswith("lora_unet_")
        kinds = family.is_attention_layer(name), family.is_text_layer(name), family.is_conv_layer(name)
        assert kinds == (is_unet, not is_unet, False), name
    for name in added:
        assert (family.is_attention_layer(name), family.is_text_layer(name), family.is_conv_layer(name)) == (
            False, False, True), name


@pytest.mark.parametrize(("family", "table"), FAMILIES)
def test_text_layers_are_those_of_the_encoders_that_are_used(family: Family, table: str) -> None:
    text = {name for name in layer_tables.read(table, "lierla") if not name.startswith("lora_unet_")}
    parts = [*(f"self_attn_{part}_proj" for part in ("q", "k", "v", "out")), "mlp_fc1", "mlp_fc2"]
    assert text == {f"{encoder.prefix}_text_model_encoder_layers_{layer}_{part}" for encoder in family.text_encoders
                    for layer in range(encoder.layers) for part in parts}
    if family is not SD1:  # a file's name must tell that of a deeper encoder
        assert not any(family.is_text_layer(f"{encoder.prefix}_text_model_encoder_layers_{encoder.layers}_mlp_fc1")
                       for encoder in family.text_encoders)


@pytest.mark.parametrize(("family", "table"), FAMILIES)
def test_every_layer_is_in_a_block_of_the_layout(family: Family, table: str) -> None:
    plain = {block_of(name, family.arch) for name in layer_tables.read(table, "lierla")}
    assert plain == set(LORA_BLOCKS[family.arch])
    added = {block_of(name, family.arch) for name in layer_tables.read(table, "c3lier_adds")}
    assert added <= set(ARCH_BLOCKS[family.arch])


@pytest.mark.parametrize("name", [
    "lora_unet_input_blocks_0_0", "lora_unet_time_embed_0", "lora_unet_label_emb_0_0", "lora_unet_out_2",
    "lora_unet_input_blocks_4_1_norm", "lora_unet_input_blocks_4_1_transformer_blocks_0_norm1",
    "lora_te1_text_model_final_layer_norm", "lora_te2_text_projection", "lora_te2_text_model_encoder_layers_32_mlp_fc1",
    "lora_unet_down_blocks_1_attentions_0_proj_in",
])
def test_what_sdxl_never_adapts(name: str) -> None:
    assert not (SDXL.is_attention_layer(name) or SDXL.is_conv_layer(name) or SDXL.is_text_layer(name))


@pytest.mark.parametrize(("family", "epsilon", "v"), [(SD1, 512, 512), (SD2, 512, 768), (SDXL, 1024, 1024)])
def test_native_resolution(family: Family, epsilon: int, v: int) -> None:
    assert (family.native_resolution("epsilon"), family.native_resolution("v")) == (epsilon, v)
