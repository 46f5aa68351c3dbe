"""Tags with one argument changed, and block weights as the numbers that a tag can take."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import rewritten, split
from lib_trainer.blocks.writing import Parts, numbers

SHIPPED = Presets.shipped()


def parts(text: str) -> Parts:
    return Parts.of(split(text)[1][0])


@pytest.mark.parametrize(("text", "written"), [
    ("<lora:a:0.8>", "<lora:a:0.8>"),
    ("<lyco:a:0.8:0.5:NCNF>", "<lyco:a:0.8:0.5:lbw=NCNF>"),
    ("<lora:a:0.8:NCNF:0.3>", "<lora:a:0.8:lbw=NCNF:x=0.3>"),
    ("<lora:a:unet=0.5:w=1,0>", "<lora:a:unet=0.5:lbw=1,0>"),
    ("<lora:a:te=0.5:unet=0.2>", "<lora:a:0.5:0.2>"),
    ("<lora:a:1:1:64>", "<lora:a:1:1:dyn=64>"),
    ("<lora:a:1:NCNF:start=5>", "<lora:a:1:lbw=NCNF:start=5>"),
    ("<lora:a>", "<lora:a>"),
])
def test_a_tag_is_written_with_its_meaning(text: str, written: str) -> None:
    assert str(parts(text)) == written


def test_one_argument_changes_and_the_others_stay() -> None:
    tag = parts("<lora:a:0.8:0.5:X-list:x=0.3:dyn=4>")
    assert str(tag.with_weights("OUTD")) == "<lora:a:0.8:0.5:lbw=OUTD:dyn=4>"
    assert str(tag.with_weights(None)) == "<lora:a:0.8:0.5:dyn=4>"
    assert str(tag.with_strength("0.2")) == "<lora:a:0.2:lbw=X-list:x=0.3:dyn=4>"
    assert str(tag.with_name("b")) == "<lora:b:0.8:0.5:lbw=X-list:x=0.3:dyn=4>"


def test_only_tags_are_rewritten() -> None:
    prompt = "a (cat:1.1), <lora:a:1>, <hypernet:h:1> <not a tag>"
    assert rewritten(prompt, lambda tag: tag.text) == prompt
    assert rewritten(prompt, lambda tag: f"[{tag.name}]") == "a (cat:1.1), [a], [h] <not a tag>"


@pytest.mark.parametrize(("weights", "arch", "count"), [
    ("NCNF", "sd15", 17), ("LC-NCNF", "sd15", 26), ("ALL0.5", "sd15", 17), ("0.5", "sd15", 1), ("0.5", "sdxl", 1),
    ("SDXL-MID", "sdxl", 12), ("NCNF", "sdxl", 20), (",".join("1" * 20), "sdxl", 1), (",".join("0" * 17), "sd15", 1),
])
def test_the_shortest_list_is_chosen(weights: str, arch: str, count: int) -> None:
    ratios = resolve(split(f"<lora:a:1:lbw={weights}>")[1][0], SHIPPED, arch).ratios
    assert ratios is not None
    assert len(numbers(ratios, arch).split(",")) == count


@given(st.sampled_from(sorted(ARCH_BLOCKS)), st.data())
def test_written_numbers_mean_what_they_were(arch: str, data: st.DataObject) -> None:
    values = st.sampled_from([0.0, 1.0, 0.5, -1.0, 1e-7, 123456.789]) | st.floats(-1e6, 1e6)
    ratios = {block: data.draw(values) + 0.0 for block in ARCH_BLOCKS[arch]}
    again = resolve(split(f"<lora:a:1:lbw={numbers(ratios, arch)}>")[1][0], SHIPPED, arch)
    assert not again.errors
    assert again.ratios == ratios
