"""Wildcards: choices, escapes, nesting, and braces that are only braces."""
from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.captions import wildcards


@pytest.mark.parametrize(("text", "expected"), [
    ("a {b|c} d", {"a b d", "a c d"}),
    ("{a|b}{c|d}", {"ac", "ad", "bc", "bd"}),
    ("{a|b {c|d}}", {"a", "b c", "b d"}),
    ("{x {a|b}|y}", {"x a", "x b", "y"}),
    ("{|a}", {"", "a"}),
    ("{a}", {"a"}),
    ("{{a|b}}", {"{a|b}"}),
    ("{a}}|b}", {"a}", "b"}),
    ("{}", {"{}"}), ("{a|b", {"{a|b"}), ("a|b}", {"a|b}"}), ("{a|{b|c}", {"{a|b", "{a|c"}), ("a|b", {"a|b"}),
    ("}}{{", {"}{"}),
])
def test_everything_that_can_come_of_a_text(text: str, expected: set[str]) -> None:
    assert {wildcards.resolve(text, wildcards.at_random(random.Random(seed))) for seed in range(60)} == expected
    assert wildcards.are_in(text) == (len(expected) > 1)


@given(st.text("ab|{} ,", max_size=30))
def test_any_text_can_be_read(text: str) -> None:
    found = wildcards.resolve(text, wildcards.first)
    assert set(found) <= set(text)
    if not wildcards.are_in(text):
        assert wildcards.resolve(text, lambda choices: choices[-1]) == found


@given(st.text("ab|{} ,", max_size=30))
def test_doubled_braces_are_the_text(text: str) -> None:
    assert wildcards.resolve(text.replace("{", "{{").replace("}", "}}"), wildcards.first) == text
