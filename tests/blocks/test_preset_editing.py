"""Editing a presets file: one preset changes, every other byte stays."""
from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks import entry_editing as editing
from lib_trainer.blocks.entry_text import EntryText, Key
from lib_trainer.blocks.hints import NO_HINT, Hint
from lib_trainer.blocks.layouts import FLUX_LENGTH
from lib_trainer.blocks.preset_editing import PRESETS, key_of
from lib_trainer.blocks.presets import Preset, Presets
from lib_trainer.errors import UserError

ONES, ZEROS, XL = ",".join("1" * 17), ",".join("0" * 17), ",".join("1" * 12)
TEXT = f"# My presets\n\n# the face\nFACE:{ONES}\r\nBODY : {ZEROS}\nno preset at all\n#OLD:{ONES}\nFACE:{XL}\n# the end"

_NAMES = ("ALL", "NCNF", "a b", "顔", "ALL0.5", "x=y", "MID")
_COMMENTS = ("# a comment", "#", "#folklore: face", "# folklore", "## two", "  # indented", f"#OLD:{ONES}", "words",
             "a: b", "", " ", "SHORT:1,2,3", f"LATE:{ONES} # no", "\ufeff", "# \x0b odd")


@st.composite
def _texts(draw: st.DrawFn, twice: bool = False) -> str:
    """Files of presets (each key once, unless `twice`), comments and rubbish with all kinds of line ends."""
    lengths = st.sampled_from((12, 17, FLUX_LENGTH) if not twice else (12, 17, 20, 26, FLUX_LENGTH))
    keys = draw(st.lists(st.tuples(st.sampled_from(_NAMES), lengths), max_size=6, unique=not twice))
    pieces = [f"{name}{draw(st.sampled_from((':', ' : ')))}{','.join(['0.5'] * n)}" for name, n in keys]
    pieces += draw(st.lists(st.sampled_from(_COMMENTS), max_size=8))
    pieces = draw(st.permutations(pieces))
    ends = draw(st.lists(st.sampled_from(("\n", "\r\n", "\r")), min_size=len(pieces), max_size=len(pieces)))
    text = "".join(piece + end for piece, end in zip(pieces, ends, strict=True))
    return draw(st.sampled_from(("", "\ufeff"))) + (text.rstrip("\r\n") if draw(st.booleans()) else text)


def _read(text: str) -> list[tuple[str, tuple[str, ...], str, bool]]:
    return [_facts(preset) for preset in Presets.parse(text).entries]


def _facts(preset: Preset) -> tuple[str, tuple[str, ...], str, bool]:
    return preset.name, preset.items, preset.hint, preset.folklore


def _comments(text: str, without: Sequence[str] = ()) -> list[str]:
    """All lines that are no presets and say something, in order."""
    lines = [line for line in Presets.parse(text).text.removeprefix("\ufeff").replace("\r\n", "\n").replace(
        "\r", "\n").split("\n") if line.strip().strip("\ufeff") not in ("", "#") and PRESETS.key_of(line) is None]
    for line in without:
        lines.remove(line)
    return lines


_HINTS = st.builds(Hint, st.sampled_from(("", "a hint", "with # and : in it", "two\nlines")), st.booleans())
_LISTS = st.sampled_from((12, 17, 20, 26, FLUX_LENGTH)).map(lambda n: ",".join(["0.25"] * n))


@given(_texts(), _LISTS, _HINTS)
def test_add_then_delete_gives_the_same_text(text: str, numbers: str, hint: Hint) -> None:
    added = editing.add(PRESETS, text, "NEW", numbers, hint)
    before, (new, *rest) = _read(text), [entry for entry in _read(added) if entry[0] == "NEW"]
    assert rest == []
    assert new == ("NEW", tuple(numbers.split(",")), " ".join(hint.text.split()), hint.folklore)
    assert _read(added) == [*before, new]
    assert added.startswith(text[:1])
    arch = Presets.parse(added).entries[-1].arch or ""
    assert editing.delete(PRESETS, added, Key("NEW", arch)) == text


@given(_texts(), st.data())
def test_a_deleted_preset_takes_only_its_hint_along(text: str, data: st.DataObject) -> None:
    entries = Presets.parse(text).entries
    if not entries:
        return
    index = data.draw(st.integers(0, len(entries) - 1))
    gone = entries[index]
    deleted = editing.delete(PRESETS, text, key_of(gone))
    read = _read(text)
    assert _read(deleted) == read[:index] + read[index + 1:]
    lines = Presets.parse(text).text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    hint = [lines[gone.line - 2]] if gone.hint or gone.folklore else []
    assert sorted(_comments(deleted)) == sorted(_comments(text, without=hint))


@given(_texts(), st.data())
def test_a_moved_preset_keeps_its_hint_and_every_comment(text: str, data: st.DataObject) -> None:
    entries = Presets.parse(text).entries
    if not entries:
        return
    index, position = (data.draw(st.integers(0, len(entries) - 1)) for _ in range(2))
    moved = editing.move(PRESETS, text, key_of(entries[index]), position)
    read = _read(text)
    entry = read.pop(index)
    assert _read(moved) == [*read[:position], entry, *read[position:]]
    assert sorted(_comments(moved)) == sorted(_comments(text))


@given(_texts(), _LISTS, st.one_of(st.none(), _HINTS), st.data())
def test_a_changed_preset_stays_where_it_is(text: str, numbers: str, hint: Hint | None, data: st.DataObject) -> None:
    entries = Presets.parse(text).entries
    if not entries:
        return
    index = data.draw(st.integers(0, len(entries) - 1))
    changed = editing.change(PRESETS, text, key_of(entries[index]), "NEW", numbers, hint)
    read = _read(text)
    said = read[index][2:] if hint is None else (" ".join(hint.text.split()), hint.folklore)
    read[index] = ("NEW", tuple(numbers.split(",")), *said)
    assert _read(changed) == read
    assert len(_comments(text)) - len(_comments(changed)) in (-1, 0, 1)


@given(_texts(), st.data())
def test_a_renamed_preset_keeps_its_numbers_as_written(text: str, data: st.DataObject) -> None:
    entries = Presets.parse(text).entries
    if not entries:
        return
    preset = data.draw(st.sampled_from(entries))
    renamed = editing.change(PRESETS, text, key_of(preset), "NEW")
    back = editing.change(PRESETS, renamed, Key("NEW", preset.arch or ""), "NEW", ",".join(preset.items))
    assert [entry[0] for entry in _read(renamed)].count("NEW") == 1
    assert _comments(renamed) == _comments(text) == _comments(back)
    assert EntryText(renamed, PRESETS).content(Key("NEW", preset.arch or "")).startswith("NEW")
    assert len(renamed) - len(text) == len("NEW") - len(preset.name)


@given(_texts(twice=True), st.data())
def test_presets_that_are_there_twice_are_told_or_all_deleted(text: str, data: st.DataObject) -> None:
    keys = EntryText(text, PRESETS).keys
    if not keys:
        return
    key = data.draw(st.sampled_from(keys))
    assert key not in EntryText(editing.delete(PRESETS, text, key), PRESETS).keys
    if keys.count(key) > 1:
        with pytest.raises(UserError, match=f"is defined {keys.count(key)} times"):
            editing.move(PRESETS, text, key, 0)


def test_every_byte_around_a_change_stays() -> None:
    changed = editing.change(PRESETS, TEXT, Key("BODY", "sd15"), "BODY", ONES, Hint("all but the face", True))
    assert changed == TEXT.replace(f"BODY : {ZEROS}", f"# folklore: all but the face\nBODY:{ONES}")
    assert editing.delete(PRESETS, TEXT, Key("FACE", "sd15")) == TEXT.replace(f"# the face\nFACE:{ONES}\r\n", "")
    assert editing.change(PRESETS, TEXT, Key("BODY", "sd15"), "B") == TEXT.replace("BODY :", "B :")
    assert editing.move(PRESETS, TEXT, Key("FACE", "sdxl"), 0) == (
        f"# My presets\n\nFACE:{XL}\n# the face\nFACE:{ONES}\r\nBODY : {ZEROS}\nno preset at all\n"
        f"#OLD:{ONES}\n# the end")


def test_a_hint_can_be_taken_away_without_inheriting_another() -> None:
    text = f"# a heading\n# its hint\nA:{ONES}\n"
    assert editing.change(PRESETS, text, Key("A", "sd15"), "A", ONES, NO_HINT) == f"# a heading\n#\nA:{ONES}\n"
    assert _read(editing.delete(PRESETS, f"# heading\n# hint\nA:{ONES}\nB:{ONES}", Key("A", "sd15")))[0][2] == ""


@pytest.mark.parametrize("name", [
    "", "  ", "a:b", "a#b", "a,b", "a=b", "a@b", "a;b", "<a", "a>", "a/b", "a\nb", "0.5", "nan", "X", "x+0.2", "R", "u",
    "XYZ", "zyx", "a\u2028b", "n" * 61,
])
def test_names_that_no_tag_could_carry(name: str) -> None:
    with pytest.raises(UserError, match="cannot be the name of a preset"):
        editing.add(PRESETS, "", name, ONES)


@pytest.mark.parametrize(("numbers", "reason"), [
    ("", "write 12, 17, 20 or 26 numbers"), ("1,2,3", "got 3"), (ONES + ",", "got 18"), (ONES[:-1] + "b", "'b' is not"),
    (ONES + "\nB:" + ONES, "write 12"), (ONES + "#", "write 12"),
])
def test_lists_that_are_none(numbers: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        editing.add(PRESETS, "", "A", numbers)


def test_names_that_are_taken_and_presets_that_are_gone() -> None:
    with pytest.raises(UserError, match="There is a preset 'FACE' already"):
        editing.add(PRESETS, TEXT, "FACE", ZEROS)
    with pytest.raises(UserError, match="There is a preset 'FACE' already"):
        editing.change(PRESETS, TEXT, Key("BODY", "sd15"), "FACE")
    for change in (editing.delete, lambda form, text, key: editing.move(form, text, key, 0)):
        with pytest.raises(UserError, match="There is no preset 'GONE'"):
            change(PRESETS, TEXT, Key("GONE", "sd15"))
    with pytest.raises(UserError, match="write it as a sentence"):
        editing.add(PRESETS, TEXT, "NEW", ONES, Hint(f"A:{ONES}"))
    assert editing.free_name(PRESETS, "", Key("A_7", "sd15")) == "A_2"
    assert editing.free_name(PRESETS, f"A:{ONES}\nA_2:{ONES}\nA_3:{XL}", Key("A", "sd15")) == "A_3"
