"""What tensor names tell, checked on the names that the field's trainers write."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_trainer.lora import keys

SHAPES = json.loads((Path(__file__).parents[1] / "data" / "sd15_lora_shapes.json").read_text())
LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def tensors(layers: dict[str, list[list[int]]]) -> dict[str, list[int]]:
    return {f"{layer}.lora_{part}.weight": shape for layer, pair in layers.items()
            for part, shape in zip(("down", "up"), pair, strict=True)}


def test_lora_and_locon_differ_by_their_layers() -> None:
    assert keys.algorithm(tensors(SHAPES["lierla"])) == "lora"
    assert keys.algorithm(tensors(SHAPES["lierla"] | SHAPES["c3lier_adds"])) == "locon"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("hada_w1_a", "loha"), ("hada_t1", "loha"), ("lokr_w1", "lokr"), ("lokr_w2_a", "lokr"), ("oft_blocks", "oft"),
        ("a1.weight", "glora"), ("on_input", "ia3"), ("diff", "full"), ("w_norm", "norm"), ("something", "unknown"),
    ],
)
def test_algorithms_by_part(part: str, expected: str) -> None:
    assert keys.algorithm([f"{LAYER}.alpha", f"{LAYER}.{part}"]) == expected


def test_lora_with_trained_norms_is_still_lora_but_dora_is_not() -> None:
    lora = [f"{LAYER}.lora_down.weight", f"{LAYER}.lora_up.weight"]
    assert keys.algorithm([*lora, f"{LAYER}.w_norm", f"{LAYER}.diff_b"]) == "lora"
    assert keys.algorithm([*lora, f"{LAYER}.dora_scale"]) == "dora"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"modelspec.architecture": "stable-diffusion-v1/lora"}, "sd1"),
        ({"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, "sdxl"),
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "sdxl"),
        ({"ss_base_model_version": "sd_v2_v"}, "sd2"),
        ({}, None),
    ],
)
def test_family_by_metadata(metadata: dict[str, str], expected: str | None) -> None:
    assert keys.family({}, metadata) == expected


@pytest.mark.parametrize(("width", "expected"), [(768, "sd1"), (1024, "sd2"), (2048, "sdxl"), (96, None)])
def test_family_by_the_width_of_the_text_states(width: int, expected: str | None) -> None:
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    assert keys.family({f"{layer}.lora_down.weight": (8, width)}, {}) == expected


def test_two_text_encoders_are_sdxl() -> None:
    assert keys.family({"lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha": ()}, {}) == "sdxl"


@pytest.mark.parametrize("shapes", [
    {"hada_w1_a": (320, 4), "hada_w1_b": (4, 1024), "hada_w2_a": (320, 4), "hada_w2_b": (4, 1024)},
    {"lokr_w1": (8, 16), "lokr_w2": (40, 64)}, {"lokr_w1_a": (8, 2), "lokr_w1_b": (2, 16), "lokr_w2": (40, 64)},
    {"lokr_w1": (8, 16), "lokr_w2_a": (40, 4), "lokr_w2_b": (4, 64)}, {"diff": (320, 1024)},
    {"a1.weight": (1024, 4), "a2.weight": (4, 1024), "b1.weight": (320, 4), "b2.weight": (4, 1024)},
])
def test_family_by_the_factors_of_other_kinds(shapes: dict[str, tuple[int, ...]]) -> None:
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    named = {f"{layer}.{part}": shape for part, shape in ({"alpha": ()} | shapes).items()}
    assert keys.family(named, {}) == "sd2"
    assert keys.family({f"{layer}.oft_blocks": (80, 4, 4)}, {}) is None
