"""The axes of a plot: types, values, seeds, blocks; whatever is written is read or told."""
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import BLOCKS_26, LAYOUTS
from lib_trainer.compare import axes
from lib_trainer.compare.axes import chosen_blocks, read_axis
from lib_trainer.errors import UserError


def never() -> int:
    raise AssertionError("no seed was to be rolled")


@pytest.mark.parametrize("kind", ["values", "VALUES", " Values ", 2])
def test_a_type_is_a_word_or_its_place(kind: str | int) -> None:
    assert read_axis("X", kind, " 0, 0.5 ,1", never) == axes.Axis("X", axes.VALUES, ("0", "0.5", "1"))


@pytest.mark.parametrize("kind", ["none", None, "", 0])
def test_no_axis_has_one_empty_value(kind: str | int | None) -> None:
    assert read_axis("Z", kind, "1,2", never) == axes.Axis("Z")


def test_seeds_are_rolled_where_they_are_left_to_chance() -> None:
    counter = itertools.count(40)
    assert read_axis("Z", "seed", "-1,7,-1", lambda: next(counter)).values == ("40", "7", "41")


@pytest.mark.parametrize(("kind", "text", "sentence"), [
    ("valeus", "1", "did you mean 'values'"), (9, "1", "unknown type '9'"), (True, "1", "unknown type 'True'"),
    ("values", "", "has no values"), ("values", " , ", "has no values"), ("values", "1,,2", "empty value"),
    ("seed", "1.5", "'1.5' on the Y axis is no seed"), ("seed", "-2", "no seed"), ("seed", "4294967296", "no seed"),
])
def test_a_mistake_is_told(kind: str | int, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_axis("Y", kind, text, never)


@pytest.mark.parametrize(("text", "length", "blocks"), [
    ("IN05", 17, "IN05"), ("in5 mid", 17, "IN05 M00"), ("M00 BASE", 12, "M00 BASE"),
    ("IN05-IN08", 17, "IN05 IN07 IN08"), ("IN08-IN05", 17, "IN05 IN07 IN08"),
    ("IN05 - IN08", 26, "IN05 IN06 IN07 IN08"),
    ("NOT IN01-OUT10", 17, "BASE OUT11"),
    ("not BASE", 12, "IN04 IN05 IN07 IN08 M00 OUT00 OUT01 OUT02 OUT03 OUT04 OUT05"),
    ("NOT IN09-OUT02", 26, "BASE IN00 IN01 IN02 IN03 IN04 IN05 IN06 IN07 IN08 OUT03 OUT04 OUT05 OUT06 OUT07 OUT08 "
                           "OUT09 OUT10 OUT11"),
])
def test_blocks_are_those_of_the_list(text: str, length: int, blocks: str) -> None:
    assert chosen_blocks(text, LAYOUTS[length]) == frozenset(blocks.split())


@pytest.mark.parametrize(("text", "length", "sentence"), [
    ("IN99", 17, "Unknown block 'IN99'"), ("IN09-OUT02", 17, "IN09, OUT02.*17 numbers are for BASE, IN01-IN02"),
    ("OUT11", 12, "OUT11.*12 numbers"), ("NOT", 17, "names no block"), ("IN05 foo", 17, "'foo'"),
])
def test_a_block_without_a_place_is_told(text: str, length: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        chosen_blocks(text, LAYOUTS[length])


@given(st.sampled_from(sorted(LAYOUTS)), st.lists(st.sampled_from(BLOCKS_26), min_size=1, max_size=4), st.booleans(),
       st.booleans())
def test_a_choice_and_its_not_make_up_the_list(length: int, names: list[str], ranged: bool, lower: bool) -> None:
    layout = LAYOUTS[length]
    text = "-".join(names[:2]) if ranged else " ".join(names)
    text = text.lower() if lower else text
    named = names[:2] if ranged else names
    if not set(named) <= set(layout):
        with pytest.raises(UserError):
            chosen_blocks(text, layout)
        return
    chosen = chosen_blocks(text, layout)
    assert set(named) <= chosen
    assert chosen | chosen_blocks(f"NOT {text}", layout) == set(layout)
    assert not chosen & chosen_blocks(f"NOT {text}", layout)


@given(st.sampled_from([*axes.KINDS, "Blok ID", 3, 17]), st.text(alphabet="IN0O1UT-, .5RUXxa\n\r:", max_size=30))
def test_whatever_is_written_is_read_or_told(kind: str | int, text: str) -> None:
    try:
        axis = read_axis("X", kind, text, lambda: 1)
    except UserError as fault:
        assert str(fault).endswith(".") or "?" in str(fault)
    else:
        assert axis.values and (axis.kind == axes.NONE or all(axis.values))
