"""The prompt grammar of emphasis, as the WebUI's users know it."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.hosts.emphasis import parse


def pieces(prompt: str) -> list[tuple[str, float]]:
    return [(piece.text, round(piece.weight, 4)) for piece in parse(prompt)]


@pytest.mark.parametrize(("prompt", "want"), [
    ("plain, words: 1.2", [("plain, words: 1.2", 1.0)]),
    ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
    ("((b))", [("b", 1.21)]),
    ("[b]", [("b", 0.9091)]),
    ("(b:1.3)", [("b", 1.3)]),
    ("(b: .5 )", [("b", 0.5)]),
    ("(b:-1)", [("b", -1.0)]),
    ("(a (b:2) c)", [("a ", 1.1), ("b", 2.2), (" c", 1.1)]),
    ("(a:b:1.2)", [("a:b", 1.2)]),
    ("(a:b)", [("a:b", 1.1)]),
    (r"\(a\) \[b\] \\", [(r"(a) [b] " + "\\", 1.0)]),
    (r"a\b", [(r"a\b", 1.0)]),
    ("(a", [("a", 1.1)]),
    ("((a) b", [("a", 1.21), (" b", 1.1)]),
    ("a) b] c:1.2)", [("a) b] c:1.2)", 1.0)]),
    ("ABBA BREAKS unBREAK", [("ABBA BREAKS unBREAK", 1.0)]),
    ("", []),
])
def test_pieces(prompt: str, want: list[tuple[str, float]]) -> None:
    assert pieces(prompt) == want


def test_break_starts_a_chunk() -> None:
    assert [(p.text.strip(), p.starts_chunk) for p in parse("a BREAK b\nBREAK\nc BREAK")] == [
        ("a", False), ("b", True), ("c", True), ("", True)]
    weighted = [(p.text.strip(), p.weight, p.starts_chunk) for p in parse("(a BREAK b:2)")]
    assert weighted == [("a", 2.0, False), ("b", 2.0, True)]


@given(st.text(alphabet="ab ()[]\\:.1,BREAK\n", max_size=60))
def test_any_text_is_a_prompt(prompt: str) -> None:
    """No text is refused, and no letter of the words gets lost."""
    found = parse(prompt)
    letters = "".join(piece.text for piece in found)
    assert [c for c in letters if c in "ab,"] == [c for c in prompt if c in "ab,"]


@given(st.text(alphabet="ab, cd", min_size=1, max_size=40))
def test_plain_text_is_one_piece(prompt: str) -> None:
    assert pieces(prompt) == [(prompt, 1.0)]
