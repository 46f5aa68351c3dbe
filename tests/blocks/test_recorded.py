"""What a picture's parameters say of block weights, and what becomes of it when they are pasted."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layouts import LORA_BLOCKS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.recorded import FAULTS_FIELD, FIELD, RULES_FIELD, Entry, fields, restored, rules_entries
from lib_trainer.blocks.resolve import Weights, resolve_all
from lib_trainer.blocks.rules import read_inline
from lib_trainer.blocks.tags import split

PRESETS, ELEMENTS = Presets.shipped(), Elements.shipped()
NOTHING = Elements.parse("")
DEEP = str(read_inline("IN05-OUT05/attn@0"))
NCNF = "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"


def weights(prompt: str, arch: str = "sd15", seed: int = 0) -> list[Weights]:
    return resolve_all(split(prompt)[1], PRESETS, arch, ELEMENTS, seed)


def test_plain_tags_say_nothing() -> None:
    assert fields(weights("a cat <lora:a:0.8><lora:b:te=1:unet=0:start=2>")) == {}


def test_rules_stand_beside_their_name() -> None:
    found = fields(weights("<lora:a:1:NCNF:lbwe=ATTNDEEPOFF><lora:b:1:lbwe=/=proj@0.5,NOT BASE@-1>"))
    assert found[FIELD] == f"a: NCNF={NCNF}"
    assert found[RULES_FIELD] == f"a: ATTNDEEPOFF={DEEP}; b: /=proj@0.5,NOT BASE/@-1"
    assert rules_entries(found[RULES_FIELD]) == [
        Entry("a", DEEP), Entry("b", "/=proj@0.5,NOT BASE/@-1")]


def test_faults_are_told_once() -> None:
    found = fields(weights("<lora:a:1:NOSUCH><lora:b:1:lbwe=NOSUCH>"))
    assert set(found) == {FAULTS_FIELD}
    assert found[FAULTS_FIELD].count("NOSUCH") == 2


@pytest.mark.parametrize("rules", ["", "ATTNDEEPOFF:IN05-OUT05:attn:0.25\n"])
def test_rules_that_changed_are_written_out(rules: str) -> None:
    prompt = "a <lora:a:0.8:OUTD:lbwe=ATTNDEEPOFF:start=2>, <lora:b:1>"
    told = fields(weights(prompt))
    assert restored(prompt, told, PRESETS, ELEMENTS) == prompt
    pasted = restored(prompt, told, PRESETS, Elements.parse(rules))
    assert f"lbwe={DEEP}" in pasted and "OUTD" in pasted and "start=2" in pasted
    assert [one.digest for one in resolve_all(split(pasted)[1], PRESETS, "sd15", NOTHING)] == [
        one.digest for one in weights(prompt)]


def test_random_weights_are_put_back_as_the_numbers_that_were_drawn() -> None:
    prompt = f"<lora:a:1:{','.join('RU' + 'R' * 15)}>"
    drawn = weights(prompt, seed=5)
    for seed in (0, 5):
        pasted = restored(prompt, fields(weights(prompt, seed=seed)), PRESETS, ELEMENTS)
        assert "R" not in pasted
        (again,) = weights(pasted, seed=77)
        assert (again.ratios == drawn[0].ratios) is (seed == 5)


SD_SCRIPTS = ",".join(str(place / 100) for place in range(23))


def test_weights_of_sd_scripts_order_are_put_back() -> None:
    """Its 23 numbers for SDXL tell the three parts of the middle apart, and the first and the last convolution."""
    prompt = "<lora:a:1:MINE>"
    presets = Presets.parse(f"MINE:{SD_SCRIPTS}")
    before = resolve_all(split(prompt)[1], presets, "sdxl")
    assert before[0].fine
    told = fields(before)
    assert restored(prompt, told, presets, NOTHING) == prompt
    after = resolve_all(split(restored(prompt, told, Presets.parse(""), NOTHING))[1], Presets.parse(""), "sdxl")
    assert [one.digest for one in after] == [one.digest for one in before] and not after[0].errors


NUMBER = st.one_of(st.integers(-3, 3).map(str), st.floats(-2, 2).map(lambda number: repr(round(number, 3))))
LISTS = st.sampled_from(["sd15", "sdxl"]).flatmap(
    lambda arch: st.tuples(st.just(arch), st.lists(NUMBER, min_size=len(LORA_BLOCKS[arch]),
                                                   max_size=len(LORA_BLOCKS[arch]))))


@given(LISTS, st.sampled_from(["PROJDEEPOFF", "IN01/attn1@0.3", "NOT IN05-OUT02/=proj to.q@-1,OUT@2"]))
def test_any_weights_survive_a_change_of_all_presets(made: tuple[str, list[str]], rules: str) -> None:
    arch, items = made
    presets = Presets.parse(f"MINE:{','.join(items)}")
    prompt = f"<lora:a b:0.5:MINE:lbwe={rules}>"
    before = resolve_all(split(prompt)[1], presets, arch, ELEMENTS)
    pasted = restored(prompt, fields(before), Presets.parse(""), NOTHING)
    after = resolve_all(split(pasted)[1], Presets.parse(""), arch, NOTHING)
    assert [one.digest for one in after] == [one.digest for one in before] and not after[0].errors
