"""Every layer's factor is exactly strength times the weight of its block."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import BLOCKS_26, LAYOUTS
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import split

_INDEX = json.loads((Path(__file__).parent.parent / "data" / "block_index.json").read_text("utf-8"))
_NONE = Presets.parse("")
_NUMBERS = st.floats(-4, 4).map(lambda number: number + 0.0)


@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
@given(st.data())
def test_factors_are_exact_products(arch: str, data: st.DataObject) -> None:
    te, unet = data.draw(_NUMBERS), data.draw(_NUMBERS)
    length = data.draw(st.sampled_from(sorted(LAYOUTS)))
    numbers = data.draw(st.lists(_NUMBERS, min_size=length, max_size=length))
    (tag,) = split(f"<lora:n:{te!r}:{unet!r}:{','.join(map(repr, numbers))}>")[1]
    weights = resolve(tag, _NONE, arch)
    assert weights.errors == []
    named = dict(zip(LAYOUTS[length], numbers, strict=True))
    for place, layers in _INDEX[arch].items():
        strength = te if place == "0" else unet
        expected = strength * named.get(BLOCKS_26[int(place)], 0.0)
        assert set(multipliers(weights, layers, arch).values()) == {expected}


def test_layers_in_no_block_keep_the_strength_of_their_network() -> None:
    (tag,) = split("<lora:n:0.3:0.7:lbw=0>")[1]
    weights = resolve(tag, _NONE, "sd15")
    assert multipliers(weights, ["lora_unet_conv_out", "lora_te_text_model_final_layer_norm", "lora_unet_conv_in"],
                       "sd15") == {
        "lora_unet_conv_out": 0.7, "lora_te_text_model_final_layer_norm": 0.3, "lora_unet_conv_in": 0.0}


def test_without_block_weights_all_layers_have_the_strength() -> None:
    (tag,) = split("<lora:n:0.3>")[1]
    layers = [layer for group in _INDEX["sdxl"].values() for layer in group]
    assert set(multipliers(resolve(tag, _NONE, "sdxl"), layers, "sdxl").values()) == {0.3}
