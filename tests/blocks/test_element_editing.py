"""Editing a file of elemental rules: one paragraph changes, every other byte stays."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks import entry_editing as editing
from lib_trainer.blocks.element_editing import ELEMENTS
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.entry_text import EntryText, Key
from lib_trainer.blocks.hints import NO_HINT, Hint
from lib_trainer.errors import UserError

TEXT = "\n# Rules\n\nA:IN05-OUT05:attn:1\n\n# my hint\r\nB:IN00:proj:0\r\n:ff:0.5\r\n\r\n\r\nnot a rule\n\nC:::1"

_IDS = ("ATTN", "A b", "顔", "XYZ")
_BODIES = ("IN05-OUT05:attn:1", "::0.3", "NOT BASE:attn1 proj:0,M00:ff:0.5", "IN00:attn:0\n:ff:1")
_OTHERS = ("# a comment", "#", "words", "a:b", "SHORT:IN00:attn", "# two\n# lines", "\ufeff")


@st.composite
def _texts(draw: st.DrawFn) -> str:
    ids = draw(st.lists(st.sampled_from(_IDS), max_size=4, unique=True))
    pieces = []
    for name in ids:
        above, below = (draw(st.sampled_from(("", "# folklore: one", "# hint"))) for _ in range(2))
        pieces.append("\n".join(filter(None, (above, f"{name}:{draw(st.sampled_from(_BODIES))}", below))))
    pieces = draw(st.permutations(pieces + draw(st.lists(st.sampled_from(_OTHERS), max_size=4))))
    gaps = draw(st.lists(st.sampled_from(("\n\n", "\n \n", "\n\n\n\n")), min_size=len(pieces), max_size=len(pieces)))
    text = draw(st.sampled_from(("", "\n\n"))) + "".join(piece + gap for piece, gap in zip(pieces, gaps, strict=True))
    text = draw(st.sampled_from((text, text.rstrip("\n "), text.rstrip("\n ") + "\n")))
    return draw(st.sampled_from(("", "\ufeff"))) + text.replace("\n", draw(st.sampled_from(("\n", "\r\n"))))


def _read(text: str) -> list[tuple[str, object, Hint]]:
    return [(item.key.name, item.meaning, item.hint) for item in ELEMENTS.items(text)]


def _rest(text: str) -> list[str]:
    """All paragraphs that are no entries, in order."""
    return [unit.content for unit in ELEMENTS.cut(text.removeprefix("\ufeff"))
            if unit.content.strip("\ufeff") and ELEMENTS.key_of(unit.content) is None]


_HINTS = st.builds(Hint, st.sampled_from(("", "a hint", "with # and : in it", "two\nlines")), st.booleans())


@given(_texts())
def test_cutting_loses_nothing(text: str) -> None:
    assert "".join(unit.content + unit.end for unit in ELEMENTS.cut(text)) == text
    assert [item.key for item in ELEMENTS.items(text)] == EntryText(text, ELEMENTS).keys


@given(_texts(), st.sampled_from(_BODIES), _HINTS)
def test_add_then_delete_gives_the_same_text(text: str, body: str, hint: Hint) -> None:
    added = editing.add(ELEMENTS, text, "NEW", body, hint)
    rules = Elements.parse(f"N:{body}").entries[0].rules
    assert _read(added) == [*_read(text), ("NEW", rules, Hint(" ".join(hint.text.split()), hint.folklore))]
    assert editing.delete(ELEMENTS, added, Key("NEW")) == text


@given(_texts(), st.sampled_from(_BODIES), st.one_of(st.none(), _HINTS), st.data())
def test_changing_moving_and_deleting_leave_the_rest(
    text: str, body: str, hint: Hint | None, data: st.DataObject
) -> None:
    read = _read(text)
    if not read:
        return
    index, position = (data.draw(st.integers(0, len(read) - 1)) for _ in range(2))
    key = Key(read[index][0])
    rules = Elements.parse(f"N:{body}").entries[0].rules
    said = read[index][2] if hint is None else Hint(" ".join(hint.text.split()), hint.folklore)
    others = read[:index] + read[index + 1:]
    changed = editing.change(ELEMENTS, text, key, "NEW", body, hint)
    assert _read(changed) == [*read[:index], ("NEW", rules, said), *read[index + 1:]]
    moved = editing.move(ELEMENTS, text, key, position)
    assert _read(moved) == [*others[:position], read[index], *others[position:]]
    deleted = editing.delete(ELEMENTS, text, key)
    assert _read(deleted) == others
    assert _rest(changed) == _rest(moved) == _rest(deleted) == _rest(text)
    renamed = editing.change(ELEMENTS, text, key, "NEW")
    assert _read(renamed) == [*read[:index], ("NEW", *read[index][1:]), *read[index + 1:]]
    assert len(renamed) - len(text) == len("NEW") - len(key.name)


def test_every_byte_around_a_change_stays() -> None:
    assert editing.change(ELEMENTS, TEXT, Key("B"), "B", "IN00:proj:1", Hint("new", True)) == TEXT.replace(
        "# my hint\r\nB:IN00:proj:0\r\n:ff:0.5", "B:IN00:proj:1\r\n# folklore: new")
    assert editing.change(ELEMENTS, TEXT, Key("B"), "D", hint=NO_HINT) == TEXT.replace("# my hint\r\nB:", "D:")
    assert editing.delete(ELEMENTS, TEXT, Key("C")) == TEXT.removesuffix("\n\nC:::1")
    assert editing.put(ELEMENTS, TEXT, "A", "M00::0.5").count("A:M00::0.5\n") == 1


def test_a_new_hint_does_not_spoil_the_entry_for_the_peer() -> None:
    text = editing.add(ELEMENTS, "", "NEW", "IN00:attn:0", Hint("what it does", True))
    assert text == "NEW:IN00:attn:0\n# folklore: what it does\n\n"


@pytest.mark.parametrize(("body", "reason"), [
    ("", "no rule after the ID"), ("IN00:attn", "three parts.*got 2"), ("IN99:attn:0", "IN99"),
    ("IN00:attn:x", "'x' is not"), ("# only", "three parts.*got 1"),
])
def test_rules_that_cannot_be_read(body: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        editing.add(ELEMENTS, "", "NEW", body)
    with pytest.raises(UserError, match="cannot be the name of a rule"):
        editing.add(ELEMENTS, "", "A/B", "IN00:attn:0")
