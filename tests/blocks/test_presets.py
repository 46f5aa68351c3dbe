"""The presets file: the peer's format, problems with their line, the shipped presets, edits while running."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import FLUX_LENGTH, LAYOUTS
from lib_trainer.blocks.presets import SHIPPED, Presets, PresetsFile, read_or_create
from lib_trainer.blocks.values import read_items
from lib_trainer.errors import UserError

_ONES = ",".join("1" * 17)
_NAMES = st.text(st.characters(exclude_characters=":#\r\n\ufeff\ufffd", exclude_categories=["Cs"]), min_size=1).map(
    str.strip).filter(bool)


def test_lines_comments_and_windows_files() -> None:
    lines = [f"\ufeffA:{_ONES}", f"# B:{_ONES}", "some words: and more", "", f" C c : {_ONES} ", f"D:X{_ONES[1:]}"]
    presets = Presets.parse("\r\n".join(lines))
    assert presets.names == ["A", "C c", "D"]
    assert presets.problems == ()
    assert presets.entries[1].line == 5


def test_names_are_found_exactly_and_then_without_case() -> None:
    presets = Presets.parse(f"Face:{_ONES}\nFACE:{_ONES}\nOnly:{_ONES}")
    found = [presets.get(name) for name in ("Face", "FACE", " only ", "none")]
    assert [preset.name if preset else None for preset in found] == ["Face", "FACE", "Only", None]


def test_the_last_of_equal_names_acts_and_is_told() -> None:
    zeros = ",".join("0" * 17)
    presets = Presets.parse(f"A:{_ONES}\nB:{_ONES}\nA:{zeros}")
    assert presets.names == ["A", "B"]
    preset = presets.get("A")
    assert preset is not None and set(preset.items) == {"0"}
    assert [(problem.line, problem.name) for problem in presets.problems] == [(3, "A")]


def test_one_name_may_have_a_list_for_each_architecture() -> None:
    presets = Presets.parse(f"Face:{_ONES}\nFace:{','.join('0' * 12)}")
    assert (presets.names, presets.problems) == (["Face"], ())
    lengths = {arch: len(preset.items) for arch in ("sd15", "sdxl", None) if (preset := presets.get("face", arch))}
    assert lengths == {"sd15": 17, "sdxl": 12, None: 12}


@pytest.mark.parametrize(("line", "fault"), [
    (f"A:{_ONES},1", "got 18"), ("A:0.5", "got 1"), (f":{_ONES}", "name before the colon"),
    (f"A:{_ONES[:-1]}b", "'b' is not a number"), (f"A:{_ONES[:-1]}nan", "'nan' is not a number"),
    (f"A:{_ONES[:-1]}", "missing"),
])
def test_faulty_lines_are_no_presets_but_problems(line: str, fault: str) -> None:
    presets = Presets.parse(f"# first\n{line}")
    assert presets.names == []
    (problem,) = presets.problems
    assert problem.line == 2
    assert fault in problem.text
    assert presets.fault(problem.name) == problem.text


def test_near_names() -> None:
    assert Presets.shipped().near("ncfn")[0] == "NCNF"
    assert Presets.parse("").near("x") == []


@given(st.text())
def test_any_text_can_be_a_presets_file(text: str) -> None:
    presets = Presets.parse(text)
    assert len(presets.names) == len(set(presets.names))
    assert all(presets.get(name) for name in presets.names)


@given(st.dictionaries(_NAMES, st.lists(st.floats(-9, 9), min_size=17, max_size=17)))
def test_written_presets_are_read_back(table: dict[str, list[float]]) -> None:
    presets = Presets.parse("\n".join(f"{name}:{','.join(map(repr, values))}" for name, values in table.items()))
    assert {preset.name: read_items(preset.items, x=1) for preset in presets.entries} == table


def test_shipped_presets() -> None:
    presets = Presets.shipped()
    assert presets.problems == ()
    assert {len(preset.items) for preset in presets.entries} == {12, 17, 26, FLUX_LENGTH}
    by_name = {preset.name: ",".join(preset.items) for preset in presets.entries}
    assert list(by_name)[:11] == [
        "NONE", "ALL", "INS", "IND", "INALL", "MIDD", "OUTD", "OUTS", "OUTALL", "ALL0.5", "FLUXALL"]
    assert by_name["NCNF"] == "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"
    assert by_name["OUTD"] == "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0"
    assert by_name["MIDD"] == "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0"
    assert by_name["LC-NCNF"] == "1,1,1,1,1,1,1,1,1,1,1,1,1,1,0,1,1,0,0,0,1,1,1,1,0,0"
    assert by_name["SDXL-INALL"] == "1,1,1,1,1,0,0,0,0,0,0,0"


def test_shipped_ncnf_of_17_and_26_agree_on_their_common_blocks() -> None:
    presets = Presets.shipped()
    short, long = presets.get("NCNF"), presets.get("LC-NCNF")
    assert short is not None and long is not None
    named = dict(zip(LAYOUTS[26], long.items, strict=True))
    assert tuple(named[block] for block in LAYOUTS[17]) == short.items


def test_an_absent_file_is_created_and_edits_act_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "lbwpresets.txt"
    file = PresetsFile(path)
    assert file.current().get("NCNF")
    assert path.read_bytes() == SHIPPED.read_bytes()
    assert os.listdir(path.parent) == [path.name]
    path.write_text(f"MINE:{_ONES}\n", encoding="utf-8-sig")
    assert file.current().names == ["MINE"]
    assert file.current() is file.current()


def test_an_existing_file_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "lbwpresets.txt"
    path.write_bytes(b"")
    assert read_or_create(path).names == []
    assert path.read_bytes() == b""


def test_a_folder_that_cannot_be_made_leaves_the_shipped_presets_and_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    presets = read_or_create(tmp_path / "file" / "lbwpresets.txt")
    assert presets.get("NCNF")
    assert "cannot be written" in presets.problems[0].text


def test_names_that_are_not_utf8_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "lbwpresets.txt"
    path.write_bytes(f"A:{_ONES}\n顔:{_ONES}\n".encode("cp932"))
    presets = Presets.load(path)
    assert presets.names == ["A"]
    assert [(problem.line, "UTF-8" in problem.text) for problem in presets.problems] == [(2, True)]


def test_a_missing_file_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.txt cannot be read"):
        Presets.load(tmp_path / "absent.txt")


def test_the_comment_above_a_preset_is_its_hint() -> None:
    lines = ["# a heading", f"A:{_ONES}", f"B:{_ONES}", "# folklore: face", f"C:{_ONES}", f"#OLD:{_ONES}", f"D:{_ONES}",
             "# far", "", f"E:{_ONES}", "words", f"F:{_ONES}", "## Folklore", f"G:{_ONES}"]
    found = [(preset.name, preset.hint, preset.folklore) for preset in Presets.parse("\n".join(lines)).entries]
    assert found == [("A", "a heading", False), ("B", "", False), ("C", "face", True), ("D", "", False),
                     ("E", "", False), ("F", "", False), ("G", "", True)]


def test_every_shipped_preset_has_a_hint_and_folklore_is_marked() -> None:
    presets = Presets.shipped()
    assert [preset.name for preset in presets.entries if not preset.hint] == []
    folklore = {preset.name for preset in presets.entries if preset.folklore}
    assert {"NCNF", "FACE", "BG", "LC-NCNF"} <= folklore
    assert not folklore & {"ALL", "OUTD", "SDXL-ALL"}


def test_a_shipped_name_means_the_list_for_the_architecture() -> None:
    presets = Presets.shipped()
    both = [name for name in presets.names if len([one for one in presets.entries if one.name == name]) == 2]
    assert both == ["NONE", "ALL", "INS", "IND", "INALL", "MIDD", "OUTD", "OUTS", "OUTALL", "ALL0.5"]
    for name in both:
        xl, sd, named = (presets.get(name, arch) for arch in ("sdxl", "sd15", None))
        assert xl and sd and (len(xl.items), len(sd.items)) == (12, 17)
        assert named == sd, "tools that know one list per name take the last of them"
    for name in ("ALL", "INS", "INALL", "OUTD", "OUTALL"):
        old, new = presets.get(f"SDXL-{name}", "sdxl"), presets.get(name, "sdxl")
        assert old and new and old.items == new.items
