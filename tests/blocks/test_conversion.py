"""Lists in other layouts: the same meaning within an architecture, the same level of the U-Net between them."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.conversion import converted, fitting_length, layout_for, lost
from lib_trainer.blocks.layouts import ARCH_BLOCKS, ARCH_OF_LENGTH, FINE, LAYOUTS, expand, names_of, spread
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import split

_INDEX = json.loads((Path(__file__).parent.parent / "data" / "block_index.json").read_text("utf-8"))
_CHANNELS = {
    "sd15": {320: ["IN01", "IN02", "OUT09", "OUT10", "OUT11"], 640: ["IN04", "IN05", "OUT06", "OUT07", "OUT08"],
             1280: ["IN07", "IN08", "M00", "OUT03", "OUT04", "OUT05"]},
    "sdxl": {320: ["IN01", "IN02", "OUT06", "OUT07", "OUT08"], 640: ["IN04", "IN05", "OUT03", "OUT04", "OUT05"],
             1280: ["IN07", "IN08", "M00", "OUT00", "OUT01", "OUT02"]},
}
"""Blocks with attention (in SD 1.x) by the channels of their convolutions."""

_ITEMS = st.sampled_from(["0", "1", "0.5", "-1", "X", "R", "X-0.3"])


@pytest.mark.parametrize(("items", "length", "expected"), [
    ("1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0", 12, "1,1,1,1,1,1,0,0,0,1,1,1"),
    ("1,0,0,0,0,0,0,0,1,1,1,1,0.2,0,0,0,0", 12, "1,0,0,0,0,0,1,1,1,1,0.2,0"),
    ("1,1,1,1,1,1,0,0,0,1,1,1", 17, "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,1,1"),
    ("1,1,0,0,0,0,0,0,0,0,0,0", 26, "1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"),
    ("X,R,1,1,1,1,U,X+0.2,0,0,0,0", 20, "X,0,0,0,0,R,1,0,1,1,1,U,X+0.2,0,0,0,0,0,0,0"),
])
def test_examples(items: str, length: int, expected: str) -> None:
    assert ",".join(converted(items.split(","), length)) == expected


@pytest.mark.parametrize(("source", "target"), [(one, two) for one in (17, 26) for two in (12, 20)] + [
    (two, one) for one in (17, 26) for two in (12, 20)])
def test_blocks_correspond_by_their_channels(source: int, target: int) -> None:
    origin = {block: str(channels) for channels, blocks in _CHANNELS[ARCH_OF_LENGTH[source]].items()
              for block in blocks}
    there = dict(zip(names_of(target), converted([origin.get(name, "0") for name in names_of(source)], target),
                     strict=True))
    for channels, blocks in _CHANNELS[ARCH_OF_LENGTH[target]].items():
        if source != 12 or channels != 320:  # a list of 12 does not speak of this level: its neighbour speaks for it
            assert {there[block] for block in blocks if block in there} <= {str(channels)}


@given(st.sampled_from(sorted(ARCH_OF_LENGTH)), st.data())
def test_within_an_architecture_a_list_keeps_its_meaning(length: int, data: st.DataObject) -> None:
    items = data.draw(st.lists(_ITEMS, min_size=length, max_size=length))
    for other in (one for one, arch in ARCH_OF_LENGTH.items() if arch == ARCH_OF_LENGTH[length]):
        new = converted(items, other)
        before, after = spread(items, "0", "1"), spread(new, "0", "1")
        names = (*ARCH_BLOCKS[ARCH_OF_LENGTH[length]], *FINE)
        assert lost(items, other) == tuple(name for name in names if before[name] != after[name])
        if not lost(items, other):
            assert converted(new, length) == tuple(items)


@given(st.sampled_from([17, 26]), st.data())
def test_there_and_back_again_keeps_every_block_of_both(length: int, data: st.DataObject) -> None:
    items = data.draw(st.lists(_ITEMS, min_size=length, max_size=length))
    back = converted(converted(items, 20), length)
    kept = {name: item for name, item in zip(names_of(length), items, strict=True)
            if name not in ("IN09", "IN10", "IN11", "OUT00", "OUT01", "OUT02")}
    assert kept.items() <= dict(zip(names_of(length), back, strict=True)).items()


def test_what_is_lost_is_named() -> None:
    items = list("1" * 26)
    items[10], items[14] = "0.5", "R"
    assert lost(items, 20) == ("IN09", "OUT00")
    assert lost(["0.5", *"1" * 16], 25) == ("BASE",)
    assert lost(["0.5", *"1" * 9, "1", "0", "1", *"1" * 10], 20) == ("EMBED", "MID0", "MID2")


@pytest.mark.parametrize(("length", "sd15", "sdxl"), [(17, 17, 12), (12, 17, 12), (26, 26, 20), (20, 26, 20),
                                                      (25, 25, 23), (23, 25, 23)])
def test_every_length_has_its_like_on_the_other_architecture(length: int, sd15: int, sdxl: int) -> None:
    assert (fitting_length(length, "sd15"), fitting_length(length, "sdxl")) == (sd15, sdxl)


@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
def test_the_layout_follows_from_the_layers(arch: str) -> None:
    layers = [layer for group in _INDEX[arch].values() for layer in group]
    attention = [layer for layer in layers if "attn" in layer or "_ff_" in layer or "_proj_" in layer]
    assert layout_for(layers, arch) == (26 if arch == "sd15" else 20)
    assert layout_for(attention, arch) == (17 if arch == "sd15" else 12)
    assert layout_for([], arch) == (17 if arch == "sd15" else 12)


@pytest.mark.parametrize(("arch", "length"), [("sdxl", 17), ("sdxl", 26), ("sd15", 12), ("sd15", 20)])
def test_a_list_of_the_other_architecture_is_answered_with_its_conversion(arch: str, length: int) -> None:
    items = ",".join(["0.5"] * length)
    (tag,) = split(f"<lora:n:1:{items}>")[1]
    weights = resolve(tag, Presets.parse(""), arch)
    named = expand([0.5] * length, length)
    assert weights.ratios == {block: named[block] for block in ARCH_BLOCKS[arch]}
    wanted = fitting_length(length, arch)
    assert f"lbw={','.join(converted(items.split(','), wanted))}" in weights.warnings[-1]
    assert wanted in LAYOUTS
