"""Numbers by block: every way of writing them, against sd-scripts' own numbering of every layer."""
from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import LAYOUTS, SD_SCRIPTS
from lib_trainer.blocks.per_block import LENGTHS, read, readable
from lib_trainer.errors import UserError
from tests.families import layer_tables

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "sd_scripts_blocks.json").read_text("utf8"))
ARCHES = {"sd15": 25, "sdxl": 23}
CONTEXT = "lora_unet_mid_block_attentions_0_proj_in"


def unet_layers(arch: str) -> list[str]:
    tables = [layer_tables.read("sd15" if arch == "sd15" else "sdxl", part) for part in ("lierla", "c3lier_adds")]
    return [name for table in tables for name in table if name.startswith("lora_unet_")]


@pytest.mark.parametrize(("arch", "length"), ARCHES.items())
def test_a_list_in_the_order_of_sd_scripts_reaches_the_layers_that_it_does(arch: str, length: int) -> None:
    """block_dims=0,1,2,...: every layer gets the number of its block index there."""
    numbers = read(",".join(map(str, range(length))), arch, default=99.0)
    layers = unet_layers(arch)
    assert len(layers) == {"sd15": 278, "sdxl": 788}[arch]
    for layer in layers:
        prefix = max((known for known in VECTORS["index"][arch] if layer.startswith(f"{known}_")), key=len)
        assert numbers.of(layer) == VECTORS["index"][arch][prefix], layer
    assert numbers.of("lora_te_text_model_encoder_layers_0_mlp_fc1") == 99.0


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("curve", VECTORS["curves"])
def test_the_curves_are_those_of_sd_scripts(arch: str, curve: str) -> None:
    expected = VECTORS["curves"][curve]["sd" if arch == "sd15" else "sdxl"]
    count = len(expected)
    numbers = read(f"down: {curve}", arch, 1.0)
    names = SD_SCRIPTS[ARCHES[arch]][:count] if arch == "sd15" else SD_SCRIPTS[23][1:1 + count]
    assert [numbers.named[name] for name in names] == pytest.approx(expected, abs=1e-6)
    assert {numbers.named[name] for name in SD_SCRIPTS[ARCHES[arch]][-count - 1:-1] if name.startswith("OUT")} == {1.0}


def test_the_three_sides() -> None:
    numbers = read("down = 0.5,,2; mid: 0.25\nup: 3", "sd15", 1.0)
    assert [numbers.named[f"IN{number:02}"] for number in range(5)] == [0.5, 0.0, 2.0, 1.0, 1.0]
    assert numbers.named["M00"] == 0.25
    assert {numbers.named[f"OUT{number:02}"] for number in range(12)} == {3.0}
    assert numbers.of("lora_te_text_model_encoder_layers_0_mlp_fc1") == 1.0
    middle = read("mid: 0.5", "sdxl", 1.0)
    assert [middle.named[f"MID{number}"] for number in range(3)] == [0.5, 1.0, 1.0]


def test_names_and_ranges_leave_the_rest() -> None:
    numbers = read("IN04-IN05:8, OUT03:16; M00 = 4, BASE:2", "sd15", 32.0)
    assert numbers.named == {"IN04": 8.0, "IN05": 8.0, "OUT03": 16.0, "M00": 4.0, "BASE": 2.0}
    assert numbers.of(CONTEXT) == 4.0
    assert numbers.of("lora_unet_down_blocks_0_attentions_0_proj_in") == 32.0
    assert numbers.of("lora_te_text_model_encoder_layers_0_mlp_fc1") == 2.0
    assert numbers.of("lora_unet_conv_out") == 32.0


def test_presets_are_found_by_name() -> None:
    presets = {"NCNF": ("1",) * 4 + ("0",) * 13}
    assert read("NCNF", "sd15", 1.0, presets.get).named["M00"] == 0.0
    assert readable("NCNF") == ""


@pytest.mark.parametrize(
    ("text", "match"),
    [("1,2,3", "this one has 3"), ("1" + ",1" * 22, "23 numbers are for SDXL; for SD 1.x write 17, 25 or 26"),
     ("IN04=eight", "'eight' is not a number"), ("IN44:1", "Unknown block 'IN44'"), ("IN04", "no block with a number"),
     ("down: sinus", "neither numbers nor one of sine"), ("down: 1; left: 1", "does not begin with down"),
     ("up: 1" + ",1" * 12, "'up' has 12 blocks here, but 13"), ("down: sine+x", "'x' is not a number")],
)
def test_what_cannot_be_read_is_told(text: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        read(text, "sd15", 1.0)


def test_what_can_be_read_for_one_architecture_is_readable() -> None:
    assert readable(",".join("1" * 23)) == readable(",".join("1" * 25)) == readable("IN04:2") == ""
    assert "this one has 3" in readable("1,2,3")


@given(st.sampled_from(sorted(LENGTHS)), st.data())
def test_every_list_gives_its_names_their_numbers(length: int, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 999), min_size=length, max_size=length))
    arch = "sdxl" if length in (12, 20, 23) else "sd15"
    found = read(", ".join(map(str, numbers)), arch, 7.0)
    names = LAYOUTS.get(length) or SD_SCRIPTS[length]
    assert [found.named[name] for name in names] == numbers


@given(st.text(max_size=40))
def test_any_text_is_read_or_told(text: str) -> None:
    try:
        found = read(text, "sd15", 1.0)
    except UserError:
        return
    assert all(math.isfinite(number) for number in found.named.values())
