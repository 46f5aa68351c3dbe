"""The plot of the LoRA Block Weight extension: which cells it has, and how their prompts say it."""
from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_trainer.blocks.elements import NO_ELEMENTS, Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import split
from lib_trainer.compare import axes
from lib_trainer.compare.grids import default_font
from lib_trainer.compare.peer_plot import Names, PeerPlot, plot_of
from lib_trainer.errors import Problems, UserError

PROMPT = "a cat <lora:m4:0.8:XYZ>"
SHIPPED = Presets.shipped()
NONE = ("none", "")


def plot(
    x: tuple[str, str], y: tuple[str, str] = NONE, z: tuple[str, str] = NONE, prompt: str = PROMPT,
    presets: Presets = SHIPPED, elements: Elements = NO_ELEMENTS, arch: str = "sd15",
) -> PeerPlot:
    rolled = itertools.count(1000)
    return plot_of([x, y, z], Names(presets, elements, arch), prompt, lambda: next(rolled))


def prompts(made: PeerPlot, prompt: str = PROMPT) -> list[str]:
    return [cell.change(prompt) for cell in made.cells]


def meaning(prompt: str, arch: str = "sd15", place: int = 0) -> Weights:
    """What a cell's tag does, without any presets: it must say everything by itself."""
    weights = resolve(split(prompt)[1][place], Presets.parse(""), arch, NO_ELEMENTS)
    assert not weights.errors, weights.errors
    return weights


def test_values_and_blocks_make_a_matrix() -> None:
    made = plot(("values", "0,1"), ("Block ID", "IN05-OUT05,MID"))
    assert prompts(made) == [
        "a cat <lora:m4:0.8:lbw=IN05-IN11 M00 OUT00-OUT05@0>", "a cat <lora:m4:0.8:lbw=1>",
        "a cat <lora:m4:0.8:lbw=M00@0>"]
    assert [cell.seed for cell in made.cells] == [None] * 3


def test_the_order_of_the_axes_changes_the_places_only() -> None:
    one = plot(("values", "0,0.5"), ("Block ID", "M00,IN05"))
    other = plot(("Block ID", "M00,IN05"), ("values", "0,0.5"))
    assert sorted(prompts(one)) == sorted(prompts(other))
    assert prompts(plot(NONE, ("Block ID", "M00,IN05"), ("values", "0,0.5"))) == prompts(one)[::2] + prompts(one)[1::2]


@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
def test_one_means_neutral_everywhere(arch: str) -> None:
    made = plot(("values", "1"), ("Block ID", "M00"), arch=arch)
    assert set((meaning(prompts(made)[0], arch).ratios or {}).values()) == {1.0}


def test_a_preset_named_xyz_is_the_base() -> None:
    presets = Presets.parse("XYZ:" + ",".join(["0.5"] * 17))
    ratios = meaning(prompts(plot(("values", "1"), ("Block ID", "M00"), presets=presets))[0]).ratios or {}
    assert ratios["M00"] == 1 and ratios["IN05"] == 0.5 and ratios["IN03"] == 0


def test_zyx_gets_the_rest() -> None:
    prompt = "<lora:a:1:XYZ><lora:b:1:ZYX>"
    written = prompts(plot(("values", "0.3"), ("Block ID", "M00"), prompt=prompt), prompt)[0]
    first, second = meaning(written).ratios or {}, meaning(written, place=1).ratios or {}
    assert (first["M00"], second["M00"], first["IN05"], second["IN05"]) == (0.3, 0.7, 1, 0)


def test_presets_on_one_axis_and_their_sum_on_two() -> None:
    assert prompts(plot(("Original Weights", "INS,OUTALL"))) == [
        f"a cat <lora:m4:0.8:lbw={','.join((SHIPPED.get(name, 'sd15') or pytest.fail(name)).items)}>"
        for name in ("INS", "OUTALL")]
    made = plot(("Original Weights", "INS,OUTS"), ("Original Weights", "OUTS,INS"))
    both = "1,1,1,1,0,0,0,0,0,0,0,0,1,1,1,1,1"
    assert [text.split("=")[1].rstrip(">") for text in prompts(made)] == [
        both, ",".join((SHIPPED.get("OUTS", "sd15") or pytest.fail()).items),
        ",".join((SHIPPED.get("INS", "sd15") or pytest.fail()).items)]
    assert len(made.cells) == 3, "INS + OUTS and OUTS + INS are drawn once"


def test_a_preset_is_changed_by_values_and_blocks() -> None:
    written = prompts(plot(("Original Weights", "INS"), ("values", "0.25"), ("Block ID", "OUT05 BASE")))[0]
    ratios = meaning(written).ratios or {}
    assert (ratios["OUT05"], ratios["BASE"], ratios["IN01"], ratios["OUT06"]) == (0.25, 0.25, 1, 0)


def test_seeds_are_drawn_anew_and_rolled_once() -> None:
    made = plot(("values", "0,0.5"), ("Block ID", "M00"), ("seed", "-1,5"))
    assert [cell.seed for cell in made.cells] == [1000, 1000, 5, 5]


def test_rules_are_added_to_those_of_the_entry() -> None:
    prompt = "<lora:m4:1:NONE:lbwe=XYZ>"
    made = plot(("elements", "IN05-OUT05:attn:0,:proj:0.5"), prompt=prompt, elements=Elements.parse("XYZ:::1"))
    rules = [meaning(text).rules for text in prompts(made, "<lora:m4:1:lbwe=XYZ>")]
    assert [[rule.ratio for rule in some] for some in rules] == [[1, 0], [1, 0.5]]
    assert rules[0][1].elements == ("attn",) and "IN09" in rules[0][1].blocks


@pytest.mark.parametrize(("x", "y", "prompt", "sentence"), [
    (("values", "0"), NONE, PROMPT, "'values' needs another axis 'Block ID'"),
    (("Block ID", "M00"), NONE, PROMPT, "'Block ID' needs another axis 'values'"),
    (("values", "0"), ("values", "1"), PROMPT, "Two axes have the type 'values'"),
    (("values", "a"), ("Block ID", "M00"), PROMPT, "'a' on the axis 'values' is no block weight"),
    (("values", "0"), ("Block ID", "IN99,MM"), PROMPT, "Unknown block 'IN99'.*\n.*'MM'"),
    (("Original Weights", "INZ"), NONE, PROMPT, "Unknown preset 'INZ' on an axis 'Original Weights': did you mean"),
    (("elements", "a:b"), NONE, "<lora:m4:1:lbwe=XYZ>", "'a:b' on the axis 'elements' is no rule"),
    (("elements", ":attn:z"), NONE, "<lora:m4:1:lbwe=XYZ>", "':attn:z' on the axis 'elements' cannot be read: 'z'"),
    (("elements", ":attn:0"), NONE, PROMPT, "needs a place in the prompt: write lbwe=XYZ"),
    (("Original Weights", "INS"), NONE, "<lora:m4:1:lbwe=XYZ>", "no place for them: write XYZ"),
    (("seed", "1,2"), NONE, "a cat <lora:m4:1>", "needs a place in the prompt"),
    (("values", ",".join(["0"] * 100)), ("Block ID", ",".join(["M00"] * 100)), PROMPT, "10000 pictures"),
    (("what", "0"), ("values", ""), PROMPT, "(?s)unknown type 'what'.*has no values"),
])
def test_what_makes_no_plot_is_told(x: tuple[str, str], y: tuple[str, str], prompt: str, sentence: str) -> None:
    with pytest.raises(UserError) as told:
        plot(x, y, prompt=prompt)
    assert re.search(sentence, str(told.value)), str(told.value)


def test_grids_have_every_picture_in_its_place() -> None:
    made = plot(("values", "0,1"), ("Block ID", "M00,IN05"), ("seed", "3,4"))
    colours = [(20 * index, 100, 200) for index in range(len(made.cells))]
    sheets = list(made.sheets(lambda index: Image.new("RGB", (64, 48), colours[index]), default_font))
    assert made.grids == len(sheets) == 2 and len(made.cells) == 6
    grid = sheets[1].image
    width, height = grid.size
    corners = [(width - right, height - up) for up in (72, 24) for right in (96, 32)]
    assert [grid.getpixel(place) for place in corners] == [colours[3], colours[4], colours[5], colours[4]]
    assert sheets[1].facts == {"LoRA plot X": "values: 0, 1", "LoRA plot Y": "Block ID: M00, IN05",
                               "LoRA plot Z": "seed: 3, 4", "LoRA plot grid": "seed: 4"}


def test_an_interrupted_plot_shows_what_there_is() -> None:
    made = plot(("values", "0,1"), ("Block ID", "M00,IN05"), ("seed", "3,4"))
    first = Image.new("RGB", (64, 48), "red")
    sheets = list(made.sheets(lambda index: first if index == 0 else None, default_font))
    assert len(sheets) == 1
    assert sheets[0].image.getpixel((sheets[0].image.width - 32, sheets[0].image.height - 24)) == (255, 255, 255)


@given(st.lists(st.tuples(st.sampled_from(axes.KINDS), st.text(alphabet="IN05OUT-, .RXM:atn", max_size=20)),
                min_size=3, max_size=3), st.sampled_from(["sd15", "sdxl"]))
def test_any_axes_make_a_plot_or_a_sentence(asked: list[tuple[str, str]], arch: str) -> None:
    prompt = "<lora:m4:1:XYZ:lbwe=XYZ>"
    try:
        made = plot(asked[0], asked[1], asked[2], prompt, arch=arch)
    except Problems as faults:
        assert all(fault.rstrip()[-1] in ".?" for fault in faults.problems), faults.problems
        return
    for text in prompts(made, prompt)[:5]:
        weights = resolve(split(text)[1][0], Presets.parse(""), arch, NO_ELEMENTS)
        assert not [error for error in weights.errors if "lbwe" not in error and "XYZ" not in error], weights.errors
    assert len(set(made.cells)) == len(made.cells)
