"""What to examine and between which weights, as people and the peer's clients write it."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import ARCH_BLOCKS, BLOCKS_26, LAYOUTS, LORA_BLOCKS
from lib_trainer.compare.block_groups import Group, parse_groups, parse_range, singles, weights
from lib_trainer.errors import UserError

PRESENT = LORA_BLOCKS["sd15"]


@pytest.mark.parametrize("text", ["", "AUTO", " auto "])
def test_the_loras_own_blocks_are_what_is_examined_without_a_word(text: str) -> None:
    assert parse_groups(text, "sd15", PRESENT) == (singles(PRESENT), [])


@pytest.mark.parametrize("length", [12, 17, 20, 26])
def test_the_peers_lists_without_the_blocks_that_the_lora_lacks(length: int) -> None:
    groups, told = parse_groups(f"{length}ALL", "sd15", PRESENT)
    assert [group.label for group in groups] == [block for block in LAYOUTS[length] if block in PRESENT]
    missing = [block for block in LAYOUTS[length] if block not in PRESENT]
    assert bool(told) == bool(missing) and all(block in told[0] for block in missing[:3])


def test_groups_ranges_and_not() -> None:
    groups, told = parse_groups("in04 IN05, OUT05-OUT03,MID,NOT BASE-OUT10", "sd15", BLOCKS_26)
    assert groups == [Group("in04 IN05", ("IN04", "IN05")), Group("OUT05-OUT03", ("OUT03", "OUT04", "OUT05")),
                      Group("MID", ("M00",)), Group("NOT BASE-OUT10", ("OUT11",))]
    assert told == []


def test_one_set_of_blocks_is_examined_once() -> None:
    assert len(parse_groups("IN04,in04,IN04 IN10", "sdxl", ARCH_BLOCKS["sdxl"])[0]) == 1


@pytest.mark.parametrize(("text", "quoted"), [("IN04,IN99", "IN99"), ("NOT BASE-OUT11", "NOT BASE-OUT11"),
                                              ("NOT", "NOT"), ("IN03", "IN03")])
def test_what_names_nothing_is_told(text: str, quoted: str) -> None:
    with pytest.raises(UserError, match=quoted):
        parse_groups(text, "sd15", PRESENT)


@given(st.text(max_size=40) | st.lists(st.sampled_from([*BLOCKS_26, "NOT", "-", ",", " ", "MID", "17ALL", "in7"]),
                                       max_size=8).map("".join), st.sampled_from(["sd15", "sdxl"]))
def test_any_text_gives_groups_or_a_sentence(text: str, arch: str) -> None:
    try:
        groups, _ = parse_groups(text, arch, LORA_BLOCKS[arch])
    except UserError as error:
        assert str(error)
    else:
        assert groups and all(set(group.blocks) & set(LORA_BLOCKS[arch]) for group in groups)


@pytest.mark.parametrize(("text", "expected"), [("0.5,1", (0.5, 1.0)), (" -1 , .5 ", (-1.0, 0.5)), ("0,1", (0.0, 1.0))])
def test_ranges(text: str, expected: tuple[float, float]) -> None:
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["", "1", "1,1", "1,2,3", "a,1", "nan,1", "0.5;1"])
def test_what_is_no_range_is_told(text: str) -> None:
    with pytest.raises(UserError, match="range"):
        parse_range(text)


@given(st.floats(-1e5, 1e5, allow_subnormal=False), st.floats(-1e5, 1e5, allow_subnormal=False))
def test_two_written_numbers_are_read_back(low: float, high: float) -> None:
    if low != high:
        assert parse_range(f"{low!r},{high!r}") == (low, high)


def test_every_block_has_a_weight() -> None:
    assert weights("sdxl", ("IN04",), 0.5, 1.0) == {
        block: 0.5 if block == "IN04" else 1.0 for block in ARCH_BLOCKS["sdxl"]}
