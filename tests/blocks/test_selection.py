"""Block names and ranges as the trainer's form takes them."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import BLOCKS_26
from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.errors import UserError


@pytest.mark.parametrize(("text", "blocks"), [
    ("IN04-IN07, OUT03-OUT06", "IN04 IN05 IN06 IN07 OUT03 OUT04 OUT05 OUT06"),
    ("in04-07 out3-6", "IN04 IN05 IN06 IN07 OUT03 OUT04 OUT05 OUT06"),
    ("MID", "M00"), ("M00", "M00"), ("m0;base", "M00 BASE"), ("IN11 - OUT00", "IN11 M00 OUT00"), ("BASE,,", "BASE"),
    (" OUT11\nOUT11 ", "OUT11"), ("IN11-MID", "IN11 M00"),
])
def test_names_and_ranges(text: str, blocks: str) -> None:
    assert parse_blocks(text) == frozenset(blocks.split())


def test_empty_means_all() -> None:
    assert parse_blocks("  ") == frozenset(BLOCKS_26)


@pytest.mark.parametrize(("text", "sentence"), [
    ("IN12", "Unknown block 'IN12'"), ("IN04-IN12", "Unknown block 'IN12' in 'IN04-IN12'"), ("NCNF", "Unknown block"),
    ("OUT06-OUT03", "write OUT03-OUT06"), ("OUR03", "did you mean OUT03?"), ("-", "Unknown block"), ("1,0", "Unknown"),
])
def test_mistakes_are_told(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_blocks(text)
    assert sentence in str(caught.value)


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(UserError, match=r"'IN99'.*'foo'"):
        parse_blocks("IN99, IN01, foo")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_blocks(text) <= set(BLOCKS_26)
    except UserError as error:
        assert str(error)
