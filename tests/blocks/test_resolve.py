"""Strengths, block weights, digests and sentences of single tags."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import ARCH_BLOCKS, LAYOUTS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import split

_PRESETS = Presets.shipped()
_NCNF = "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"


def _resolve(text: str, arch: str = "sd15", presets: Presets = _PRESETS) -> Weights:
    (tag,) = split(text)[1]
    return resolve(tag, presets, arch)


@pytest.mark.parametrize(("arguments", "te", "unet"), [
    ("", 1, 1), (":0.8", 0.8, 0.8), (":0.5:0.8", 0.5, 0.8), (":0.5:unet=0.8", 0.5, 0.8), (":unet=0.5", 1, 0.5),
    (":te=0.3", 0.3, 0.3), (":unet=0.5:te=0.3", 0.3, 0.5), (":TE = 0.3 : UNet= 0.5 ", 0.3, 0.5), (":-1", -1, -1),
    (":0:0.5", 0, 0.5),
])
@pytest.mark.parametrize("weights", ["", ":lbw=NCNF", ":NCNF"])
def test_strengths_follow_the_webuis(arguments: str, te: float, unet: float, weights: str) -> None:
    result = _resolve(f"<lora:n{arguments}{weights}>")
    assert (result.te, result.unet) == (te, unet)
    assert (result.warnings, result.errors) == ([], [])
    assert result.ratios is None if not weights else result.ratios is not None


@pytest.mark.parametrize("arguments", [
    "0.8:NCNF", "0.8:ncnf", "0.8:lbw=NCNF", "lbw=NCNF:0.8", "LBW= Ncnf :0.8", "w=NCNF:0.8", f"0.8:{_NCNF}",
    f"0.8:lbw={_NCNF.replace(',', ' , ')}", "NCNF:0.8", "0.8:0.8:NCNF", "te=0.8:unet=0.8:lbw=NCNF", "lbw=NCNF:0.8:0.8",
    f"0.8:{_NCNF.replace('1', 'X', 1)}", f"0.8:{_NCNF.replace('1', 'X+0.5', 1)}:x=0.5",
    f"0.8:{_NCNF.replace('1', 'x-1', 1)}:2", "NCNF:0.8:0.8", "lbw=NCNF:unet=0.8:te=0.8",
    f"{_NCNF.replace('1', 'X', 1)}:0.8:0.8:1",
    f"0.8:0.8:{_NCNF.replace('1', 'X', 1)}:1.0", "0.8:lbw=ALL,OUT03-OUT05 OUT10-OUT11@0", "0.8:lbw=NCNF,M00@1",
    "0.8:1,1,1,1,1,1,1,1,1,1,1,1,1,1,0,0,0,0,0,0,1,1,1,1,0,0",
])
def test_all_forms_of_the_same_weights(arguments: str) -> None:
    result = _resolve(f"<lyco:n:{arguments}>")
    assert (result.te, result.unet, result.errors, result.warnings) == (0.8, 0.8, [], [])
    assert result.ratios is not None
    named = [result.ratios[block] for block in LAYOUTS[17]]
    assert named == [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]


def test_a_list_without_keyword_may_stand_before_both_strengths() -> None:
    result = _resolve("<lora:n:NCNF:0.5:0.7>")
    assert (result.te, result.unet, result.label, result.warnings) == (0.5, 0.7, "NCNF", [])


@pytest.mark.parametrize("arguments", ["0.5@0,1@0.5:NCNF", "te=0.5@0,1@0.5:lbw=NCNF", "1:unet=0.5@0.2:NCNF"])
def test_strengths_over_time_count_as_1_and_are_told(arguments: str) -> None:
    result = _resolve(f"<lora:n:{arguments}>")
    assert (result.te, result.unet, result.label, result.errors) == (1, 1, "NCNF", [])
    assert "loractl" in result.warnings[0] and "1 was taken" in result.warnings[0]


def test_everything_in_one_tag_in_any_order() -> None:
    items = ["te=0.5", "LBWE=/attn@0", "Step=3-9", "x=0.3", "unet=0.7", f"lbw={_NCNF.replace('1', 'X', 1)}"]
    found = [_resolve(f"<lora:{':'.join([*order[:2], 'n', *order[2:]])}>") for order in (items, items[::-1])]
    assert found[0].digest == found[1].digest
    assert (found[0].te, found[0].unet, found[0].window.start, found[0].window.stop) == (0.5, 0.7, 3, 9)
    assert found[0].ratios is not None and found[0].ratios["BASE"] == 0.3
    assert [str(rule) for rule in found[0].rules] == ["/attn@0"]
    assert found[0].warnings == found[0].errors == []


def test_one_number_is_for_all_blocks() -> None:
    assert _resolve("<lora:n:lbw=0.5>").ratios == dict.fromkeys(ARCH_BLOCKS["sd15"], 0.5)


def test_a_preset_may_be_called_like_a_number() -> None:
    presets = Presets.parse(f"0.5:{_NCNF}")
    weights = _resolve("<lora:n:1:lbw=0.5>", presets=presets)
    assert weights.ratios is not None and weights.ratios["OUT03"] == 0


@pytest.mark.parametrize(("arguments", "sentence"), [
    ("1:NCFN", "did you mean 'NCNF'"),
    ("1:lbw=qqqqq", "known are NONE, ALL, INS, IND, INALL and 41 more"),
    ("1:1" + ",0" * 15, "Block weights need 12, 17, 20 or 26 numbers, got 16: '1,0,0,"),
    ("1:lbw=1" + ",0" * 60, "61 numbers, which is a list for Flux"),
    ("1:FLUXALL", "Flux"),
    (f"1:lbw={_NCNF[:-1]}a", "number 17: 'a' is not a number"),
    (f"1:lbw={_NCNF[:-1]}nan", "'nan' is not a number"),
    (f"1:lbw={_NCNF[:-1]}", "number 17: the number is missing"),
    ("1:lbw=XYZ", "'XYZ' is the place that a plot of block weights fills"),
    ("1:zyx", "'zyx' is the place"),
    ("1:lbw=ALL,OUT12@0", "Unknown block 'OUT12'"),
    ("1:lbw=ALL,OUT03@a", "'OUT03@a': 'a' is not a number"),
    ("1:lbw=ALL,OUT03@0,1", "'1' names no blocks with their weight"),
    ("1:lbw=ALL,@0", "'@0' names no blocks"),
    ("1:lbw=ALLE,OUT03@0", "did you mean 'ALL'"),
    ("1:lbw=1,1,OUT03@0", "got 2"),
    ("1:lbw=", "missing"),
    ("1:lbw=inf", "'inf' is not a number"),
    (f"1:lbw=X{_NCNF[1:]}:x=a", "value of X"),
    (":lbw=NCNF", "nothing between two colons"),
    ("nan:lbw=NCNF", "The strength in <lora:n:nan:lbw=NCNF>"),
    ("unet=1e999:lbw=NCNF", "The U-Net strength"),
    ("te=a:lbw=NCNF", "'a' is not a number"),
])
def test_mistakes_mean_plain_strength_and_a_sentence(arguments: str, sentence: str) -> None:
    result = _resolve(f"<lora:n:{arguments}>")
    assert (result.te, result.unet, result.ratios, result.label) == (1, 1, None, "")
    assert sentence in " ".join(result.errors)
    assert "LoRA 'n' acts with plain strength" in result.errors[-1]


def test_a_faulty_line_of_the_presets_is_told_when_its_name_is_used() -> None:
    result = _resolve("<lora:n:1:mine>", presets=Presets.parse("MINE:1,0,1"))
    assert "Line 1 of the presets" in result.errors[0]
    assert "got 3" in result.errors[0]


@pytest.mark.parametrize(("arguments", "piece"), [
    ("1:start=5:step=2-9:NCNF", "'start=5'"), ("1:dyn=4", "'4' (dyn)"), ("1:1:64", "'64' (dyn)"),
    ("1:lwb=NCNF", "'lwb=NCNF'"), ("1:te=0", "'1'"), ("1:2:unet=0", "'2'"), ("1:NCNF:OUTD", "'OUTD'"),
    ("1:lbw=NCNF:w=OUTD", "'w=OUTD'"), ("lbw=NCNF:lbw=OUTD", "'lbw=NCNF'"), ("1:NCNF:x=0.5", "value of X"),
    ("lbw=OUT03@X,OUT03@0:x=0.5", "value of X"), ("1:x=0.5", "value of X"), ("1:NCNF:0.5:0.7:x=1", "'0.5'"),
])
def test_every_part_without_effect_is_told(arguments: str, piece: str) -> None:
    result = _resolve(f"<lora:n:{arguments}>")
    assert result.errors == []
    assert piece in " ".join(result.warnings)


def test_te_beside_a_strength_says_how_to_keep_the_unet() -> None:
    result = _resolve("<lora:n:0.8:te=0>")
    assert (result.te, result.unet) == (0, 0)
    assert "add unet=0.8." in result.warnings[0]


@pytest.mark.parametrize(("arch", "arguments", "sentences"), [
    ("sdxl", "NCNF", ["OUT00-OUT02: on SDXL these blocks are off", "OUT11, which SDXL does not have"]),
    ("sdxl", "LC-CT", ["OUT09-OUT11, which SDXL does not have"]),
    ("sdxl", "SDXL-ALL", []),
    ("sdxl", "lbw=1" + ",0" * 19, []),
    ("sd15", "SDXL-ALL", ["do not name IN01-IN02, OUT06-OUT11: on SD 1.x"]),
    ("sd15", "lbw=1" + ",1" * 19, ["OUT09-OUT11"]),
    ("sd15", "LC-NF", []),
])
def test_lists_of_another_architecture_act_and_are_told(arch: str, arguments: str, sentences: list[str]) -> None:
    result = _resolve(f"<lora:n:1:{arguments}>", arch)
    assert result.errors == []
    assert result.ratios is not None and tuple(result.ratios) == ARCH_BLOCKS[arch]
    assert len(result.warnings) == len(sentences)
    for warning, sentence in zip(result.warnings, sentences, strict=True):
        assert sentence in warning


def test_tags_of_another_kind_have_no_strength() -> None:
    result = _resolve("<hypernet:n:1>")
    assert (result.te, result.unet, result.ratios) == (0, 0, None)
    assert "<hypernet:n:1>" in result.errors[0]


def test_a_tag_without_name_is_told() -> None:
    assert "names no LoRA" in _resolve("<lora:lbw=ALL>").errors[0]


_NUMBERS = st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 0.1, 1e-9])
_LISTS = st.sampled_from([1, 12, 17, 20, 26]).flatmap(lambda count: st.lists(_NUMBERS, min_size=count, max_size=count))
_MORE = st.lists(st.sampled_from(["lbwe=/attn@0", "lbwe=/attn@0.0", "lbwe=NOT/attn@0", "lbwe=M00/attn@0", "start=1",
                                  "start=2", "stop=9", "step=2-9", "step=2-"]), max_size=2)
_WEIGHTS = st.builds(
    lambda te, unet, numbers, more: _resolve(":".join([
        f"<lora:n:{te!r}:{unet!r}", *(["lbw=" + ",".join(map(repr, numbers))] if numbers else []), *more]) + ">"),
    _NUMBERS, _NUMBERS, _LISTS | st.none(), _MORE)


@given(_WEIGHTS, _WEIGHTS)
def test_digests_are_equal_exactly_when_numbers_rules_and_steps_are(first: Weights, second: Weights) -> None:
    plain = dict.fromkeys(ARCH_BLOCKS["sd15"], 1.0)
    facts = [(one.te, one.unet, one.ratios or plain, one.fine, one.rules, one.window) for one in (first, second)]
    assert (first.digest == second.digest) is (facts[0] == facts[1])


def test_digests_of_different_forms_agree() -> None:
    forms = ["0.8:NCNF", f"0.8:lbw={_NCNF}", "te=0.8:w=ncnf"]
    assert len({_resolve(f"<lora:n:{form}>").digest for form in forms}) == 1
    assert _resolve("<lora:n:1>").digest == _resolve("<lora:n:lbw=1>").digest


_PIECES = st.sampled_from([
    "0.8", "-1", "nan", "1e999", "", " ", "NCNF", "ncfn", _NCNF, _NCNF + ",1", "X", "R", "x=", "x=0.5", "lbw=",
    "lbw=NCNF", "LBW=OUTD", "w=ALL", "te=0.5", "te=a", "unet=", "start=5", "step=1-2", "dyn=64", "=", "==", ",",
    "lbw=,", "0.5@0,1@0.5", "lbw=X,X,X", "lbwe=A", "\uff11", "名前",
])


@given(st.lists(_PIECES | st.text(st.characters(exclude_characters=">:"), max_size=8), max_size=7),
       st.sampled_from(["sd15", "sdxl"]))
def test_any_tag_resolves_to_finite_numbers_or_a_sentence(pieces: list[str], arch: str) -> None:
    result = _resolve(f"<lora:{':'.join(['n', *pieces])}>", arch)
    assert all(abs(number) <= 2e6 for number in (result.te, result.unet, *(result.ratios or {}).values()))
    if not (result.errors or result.warnings):
        assert not {"nan", "1e999", "", "ncfn", "x=", "te=a", "lbwe=A"} & {piece.strip() for piece in pieces}
