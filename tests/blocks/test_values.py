"""Numbers as people write them, and nothing else."""
from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.values import Unreadable, looks_like_item, looks_like_number, read_item, read_items, read_number


@given(st.floats(-1e6, 1e6))
def test_numbers_are_read_exactly(number: float) -> None:
    assert read_number(repr(number)) == number
    assert math.copysign(1, read_number(repr(number))) == (math.copysign(1, number) if number else 1)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("+.5", 0.5), ("-2.", -2), ("1e-2", 0.01), ("007", 7)])
def test_short_forms(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize("text", ["", "a", "nan", "-inf", "1e999", "1000001", "1_0", "0x", "\uff11", "1 2", "--1", "."])
def test_other_texts_are_refused_with_the_text(text: str) -> None:
    with pytest.raises(Unreadable, match="missing" if not text else "is not a number") as caught:
        read_number(text)
    assert text in str(caught.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert math.isfinite(read_number(text))
        assert looks_like_number(text)
    except Unreadable:
        pass


@pytest.mark.parametrize(("text", "number"), [("X", 0.7), ("x", 0.7), ("X+0.2", 0.7 + 0.2), ("x - .3", 0.7 - 0.3)])
def test_x_stands_for_a_number(text: str, number: float) -> None:
    assert read_item(text, x=0.7) == number


def test_the_place_of_a_bad_item_is_told() -> None:
    with pytest.raises(Unreadable, match=r"number 2: 'oops' is not a number"):
        read_items(["1", "oops", "1"], x=1)


@pytest.mark.parametrize("text", ["0.5", "nan", "X", "X-0.3", "R", "u"])
def test_looks_like_item(text: str) -> None:
    assert looks_like_item(text)
    assert not looks_like_item(f"{text} please")
