"""Named blocks after a preset or a list, sd-scripts' order, and what of a text comes to nothing."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.block_lists import by_block, find_list
from lib_trainer.blocks.layouts import ARCH_BLOCKS, ARCH_OF_LENGTH, BLOCKS_26, FINE_MIDDLE, LAYOUTS, names_of
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import split
from lib_trainer.blocks.writing import numbers

_PRESETS = Presets.parse(f"ALL:{','.join('1' * 17)}\nODD@1:{','.join('0' * 17)}\nVAR:X{',0' * 16}")

_SDXL = {"EMBED": ["lora_unet_time_embed_0", "lora_unet_label_emb_0_2", "lora_unet_add_embedding_linear_1",
                   "lora_unet_time_embedding_linear_2"],
         "IN04": ["lora_unet_input_blocks_4_1_proj_in"], "MID0": ["lora_unet_middle_block_0_in_layers_2"],
         "MID1": ["lora_unet_middle_block_1_proj_in", "lora_unet_mid_block_attentions_0_proj_out"],
         "MID2": ["lora_unet_middle_block_2_out_layers_3", "lora_unet_mid_block_resnets_1_conv1"],
         "OUT08": ["lora_unet_output_blocks_8_0_skip_connection"],
         "FINAL": ["lora_unet_out_0", "lora_unet_out_2", "lora_unet_conv_out"],
         "BASE": ["lora_te1_text_model_encoder_layers_0_mlp_fc1"]}
"""Layers by their place in sd-scripts' counting, in every spelling; it leaves the text encoder out."""


def _resolve(text: str, arch: str = "sd15", more: str = "") -> Weights:
    return resolve(split(f"<lora:n:1:lbw={text}{more}>")[1][0], _PRESETS, arch)


def _ratios(text: str, arch: str = "sd15") -> dict[str, float]:
    weights = _resolve(text, arch)
    assert (weights.errors, weights.label) == ([], text)
    assert weights.ratios is not None
    return weights.ratios


@pytest.mark.parametrize(("text", "off"), [
    ("ALL,OUT03-OUT05@0,MID@0", {"OUT03", "OUT04", "OUT05", "M00"}),
    ("all,out03-05@0,m00@0,M00@1", {"OUT03", "OUT04", "OUT05"}),
    ("1,IN04 IN07@0", {"IN04", "IN07"}), ("IN@0", {block for block in BLOCKS_26 if block.startswith("IN")}),
    ("0,BASE - OUT11@1,BASE@0", {"BASE"}), (f"{','.join('1' * 26)},IN00@0", {"IN00"}), ("OUT03@0,OUT03-OUT04@1", set()),
])
def test_named_blocks_follow_a_base_and_later_ones_win(text: str, off: set[str]) -> None:
    ratios = _ratios(text)
    unnamed = set(BLOCKS_26) - set(LAYOUTS[17]) if text.lower().startswith("all") else set()
    assert {block for block, ratio in ratios.items() if ratio == 0} == off | unnamed


def test_x_and_preset_names_with_an_at_sign() -> None:
    weights = _resolve("ODD@1")
    assert weights.ratios is not None and set(weights.ratios.values()) == {0}
    weights = _resolve("VAR,OUT03@X-0.5", more=":x=0.7")
    assert weights.ratios is not None
    assert (weights.ratios["BASE"], weights.ratios["OUT03"]) == (0.7, 0.7 - 0.5)
    assert weights.warnings == []


@pytest.mark.parametrize(("text", "arch", "pieces"), [
    ("ALL,OUT09@0.5", "sdxl", ["'OUT09@0.5'"]), ("1,IN04@0,IN04 IN05@1", "sd15", ["'IN04@0'"]),
    ("1,BASE-OUT11@0", "sd15", ["'1'"]), ("1,MID@0,MID0 MID1 MID2@1", "sd15", ["'MID@0'"]),
])
def test_what_comes_to_nothing_is_quoted(text: str, arch: str, pieces: list[str]) -> None:
    told = [warning for warning in _resolve(text, arch).warnings if "has no effect" in warning]
    assert [piece in told[-1] for piece in pieces] == [True] * len(pieces)


def test_sd_scripts_order_of_25() -> None:
    ratios = _ratios(",".join(str(place) for place in range(25)))
    assert ratios == {"BASE": 1.0, **{block: float(place) for place, block in enumerate(BLOCKS_26[1:])}}


def test_sd_scripts_order_of_23_is_finer_than_blocks() -> None:
    names = ["EMBED", *(f"IN{place:02}" for place in range(9)), *FINE_MIDDLE, *(f"OUT{place:02}" for place in range(9)),
             "FINAL"]
    weights = _resolve(",".join(str(place) for place in range(23)), "sdxl")
    assert (weights.warnings, weights.errors) == ([], [])
    expected = {name: float(place) for place, name in enumerate(names)} | {"BASE": 1.0}
    for name, layers in _SDXL.items():
        assert multipliers(weights, layers, "sdxl") == dict.fromkeys(layers, expected[name]), name


def test_finer_weights_that_say_nothing_new_are_none() -> None:
    weights = _resolve(",".join("1" * 23), "sdxl")
    assert weights.fine == {}
    assert weights.digest == _resolve("1", "sdxl").digest
    assert _resolve("MID0 MID1 MID2@0.5").ratios == _resolve("MID@0.5").ratios
    assert _resolve("1,EMBED@0.5").fine == {"EMBED": 0.5}


@pytest.mark.parametrize(("text", "expected"), [
    ("ALL,OUT03@R", {"BASE": "1", "OUT03": "R", "IN00": "0"}), ("X", {"IN00": "X", "OUT11": "X"}),
    ("VAR", {"BASE": "X", "IN01": "0"}), ("1,MID1@0.5", {"M00": "0.5"}), ("1,MID@0.5", {"M00": "0.5"}),
])
def test_items_by_block_stay_text(text: str, expected: dict[str, str]) -> None:
    items = by_block(find_list(text, _PRESETS, "sd15"), "sd15")
    assert expected.items() <= items.items()
    assert tuple(items) == ARCH_BLOCKS["sd15"]


@given(st.sampled_from(sorted(ARCH_BLOCKS)), st.sampled_from(sorted(ARCH_OF_LENGTH)), st.integers(0, 60))
def test_every_number_of_a_list_acts_or_is_told_to_have_no_effect(arch: str, length: int, place: int) -> None:
    numbers_ = ["0.5"] * length
    before = _resolve(",".join(numbers_), arch)
    numbers_[place % length] = "0.25"
    after = _resolve(",".join(numbers_), arch)
    if after.digest == before.digest:
        block = names_of(length)[place % length]
        assert block not in ARCH_BLOCKS[arch]
        assert "these numbers have no effect" in " ".join(after.warnings)


_PIECES = st.tuples(st.sampled_from([*BLOCKS_26, *FINE_MIDDLE, "EMBED", "FINAL", "IN04-IN07", "OUT00 OUT02", "mid"]),
                    st.sampled_from(["0", "1", "0.5", "-1", "1e-7"]))


_BASES = st.sampled_from(["1", "0.5", "ALL", ",".join("1" * 23)])


@given(st.sampled_from(sorted(ARCH_BLOCKS)), _BASES, st.lists(_PIECES))
def test_written_weights_mean_what_they_were(arch: str, base: str, pieces: list[tuple[str, str]]) -> None:
    weights = _resolve(",".join([base, *("@".join(piece) for piece in pieces)]), arch)
    assert weights.errors == [] and weights.ratios is not None
    again = _resolve(numbers(weights.ratios, arch, weights.fine), arch)
    assert (again.ratios, again.fine, again.digest) == (weights.ratios, weights.fine, weights.digest)
