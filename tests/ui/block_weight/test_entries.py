"""The lists of presets and rules: every button, what it says, and what is in the file afterwards."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from lib_trainer.blocks.element_editing import ELEMENTS
from lib_trainer.blocks.elements import SHIPPED as RULES
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.entry_text import Key
from lib_trainer.blocks.preset_editing import PRESETS
from lib_trainer.blocks.presets import SHIPPED
from lib_trainer.ui.block_weight.elements import ElementManager
from lib_trainer.ui.block_weight.entry_part import EntryPart
from lib_trainer.ui.block_weight.entry_table import MOST, Choice
from lib_trainer.ui.block_weight.presets import PresetManager

ONES, ZEROS, XL = ",".join("1" * 17), ",".join("0" * 17), ",".join("1" * 12)
TEXT = f"# mine\n\n# the face\nFACE:{ONES}\nFACE:{XL}\n# folklore: all else\nBODY:{ZEROS}\n"


def _laid_out(part: EntryPart) -> EntryPart:
    with gr.Blocks():
        part.lay_out()
        part.text.follow()
    return part


@pytest.fixture
def part(tmp_path: Path) -> Iterator[EntryPart]:
    part = _laid_out(PresetManager(tmp_path, "bw", [tmp_path / "peer"]))
    part.entries.file.path.write_text(TEXT, encoding="utf8")
    yield part


def chosen(name: str, arch: str = "sd15", show: str = "") -> str:
    return str(Choice(Key(name, arch), show))


def text_of(part: EntryPart) -> str:
    return part.entries.file.path.read_text(encoding="utf8")


def names(part: EntryPart) -> list[str]:
    return [item.key.name + item.key.arch for item in part.entries.form.items(text_of(part))]


def state(views: list[Any]) -> str:
    return views[1]


def test_a_chosen_row_fills_the_form(part: EntryPart) -> None:
    table, state, _, choice, *form = part.entries.on_show(chosen("BODY"))
    assert form == ["BODY", ZEROS, "all else", True]
    assert Choice.read(choice) == Choice(Key("BODY", "sd15"))
    assert table.count('aria-selected="true"') == 1
    assert '<b class="tl-badge">folklore</b> all else' in table
    assert "SDXL · 12" in table and 'title="OUT03: 0"' in table
    assert state == ""
    assert part.entries.on_show(chosen("GONE"))[4:] == ["", "", "", False]


def test_the_list_shows_one_architecture(part: EntryPart) -> None:
    table = part.entries.on_show(chosen("FACE", "sdxl", "sdxl"))[0]
    assert table.count("data-key") == 1 and "BODY" not in table
    assert 'data-show="sdxl" aria-pressed="true">SDXL' in table


def test_a_very_long_list_is_cut_and_said_to_be(part: EntryPart) -> None:
    part.entries.file.path.write_text("".join(f"P{i}:{XL}\n" for i in range(MOST + 20)), encoding="utf8")
    table = part.entries.on_show(chosen(f"P{MOST + 9}", "sdxl"))[0]
    assert table.count("data-key") == MOST + 1 and 'aria-selected="true"' in table
    assert "19 more are not listed here" in table


def test_change_keeps_what_the_form_does_not_change(part: EntryPart) -> None:
    views = part.entries.on_change(chosen("FACE"), "FACES", ONES, "the face", False)
    assert text_of(part) == TEXT.replace(f"FACE:{ONES}", f"FACES:{ONES}")
    assert "Saved." in state(views) and views[4] == "FACES"
    part.entries.on_change(chosen("BODY"), "BODY", ONES, "new", False)
    assert f"# new\nBODY:{ONES}\n" in text_of(part)
    assert "Nothing was changed." in state(part.entries.on_change(chosen("BODY"), "BODY", ONES, "new", False))


def test_a_list_for_another_architecture_moves_the_choice_along(part: EntryPart) -> None:
    views = part.entries.on_change(chosen("BODY"), "BODY", XL, "all else", True)
    assert Choice.read(views[3]).key == Key("BODY", "sdxl")


def test_add_copy_delete_and_undo(part: EntryPart) -> None:
    views = part.entries.on_add(chosen("BODY"), "NEW", ZEROS, "a hint", True)
    assert text_of(part) == TEXT + f"# folklore: a hint\nNEW:{ZEROS}\n"
    assert Choice.read(views[3]).key.name == "NEW"
    views = part.entries.on_copy(views[3])
    assert names(part)[-1] == "NEW_2sd15" and views[4:] == ["NEW_2", ZEROS, "a hint", True]
    views = part.entries.on_delete(views[3])
    views = part.entries.on_delete(chosen("NEW"))
    assert text_of(part) == TEXT and views[4:] == ["", "", "", False]
    assert "The version before is back." in state(part.entries.on_undo(""))
    assert names(part)[-1] == "NEWsd15"
    part.entries.on_undo("")
    assert text_of(part) == TEXT


def test_moving_passes_the_neighbour_that_is_listed(part: EntryPart) -> None:
    part.entries.on_move(chosen("BODY", show="sd15"), -1)
    assert names(part) == ["BODYsd15", "FACEsd15", "FACEsdxl"]
    part.entries.on_move(chosen("BODY"), 1)
    assert names(part) == ["FACEsd15", "BODYsd15", "FACEsdxl"]
    assert "Nothing was changed." in state(part.entries.on_move(chosen("FACE"), -1))
    assert "# folklore: all else\nBODY" in text_of(part) and "# the face\nFACE" in text_of(part)


def test_faults_are_told_and_what_was_typed_stays(part: EntryPart) -> None:
    same = gr.update()
    for views, said in (
        (part.entries.on_add("", "A:B", ONES, "", False), "cannot be the name of a preset"),
        (part.entries.on_add("", "A", "1,2", "", False), "got 2"),
        (part.entries.on_add("", "BODY", ONES, "", False), "already"),
        (part.entries.on_change("", "A", ONES, "", False), "Choose a row"),
        (part.entries.on_change(chosen("GONE"), "A", ONES, "", False), "no preset &#x27;GONE&#x27;"),
        (part.entries.on_delete("rubbish"), "Choose a row"),
        (part.entries.on_copy(chosen("GONE")), "no preset"),
        (part.entries.on_undo(""), "no earlier version"),
    ):
        assert said in state(views)
        assert views[4:] == [same] * 4 or said == "no earlier version"
    assert text_of(part) == TEXT


def test_problems_of_the_file_are_told_with_their_line(part: EntryPart) -> None:
    part.entries.file.path.write_text(f"A:{ONES}\nSHORT:1,2,3\n", encoding="utf8")
    assert "Line 2 of the presets" in state(part.entries.on_show(""))
    part.entries.file.path.write_bytes(f"# 顔\nA:{ONES}\n".encode("cp932"))
    assert "is not UTF-8 but Shift-JIS" in state(part.entries.on_show(""))
    part.entries.on_change(chosen("A"), "B", ONES, "顔", False)
    assert text_of(part) == f"# 顔\nB:{ONES}\n"


def test_a_change_of_another_program_is_kept(part: EntryPart) -> None:
    part.entries.on_show(chosen("BODY"))
    part.entries.file.path.write_text(f"THEIRS:{ONES}\n" + TEXT, encoding="utf8")
    part.entries.on_change(chosen("BODY"), "TORSO", ZEROS, "all else", True)
    assert names(part) == ["THEIRSsd15", "FACEsd15", "FACEsdxl", "TORSOsd15"]


def test_lists_of_other_parts_are_kept_as_presets(part: EntryPart) -> None:
    part.on_put("FOUND", ONES, "by the analyzer")
    assert text_of(part).endswith(f"# by the analyzer\nFOUND:{ONES}\n")
    views = part.on_put("FOUND", ZEROS)
    assert text_of(part).endswith(f"# by the analyzer\nFOUND:{ZEROS}\n")
    assert "Kept." in state(views) and views[4] == "FOUND"
    assert "cannot be the name" in state(part.on_put("", ONES))


def test_the_text_follows_and_is_saved_whole(part: EntryPart) -> None:
    fold = part.text
    text, seen, _, _ = fold.on_reload()
    assert text == TEXT
    part.entries.on_add("", "NEW", ONES, "", False)
    text, seen, _, told = fold.on_change(text, seen)
    assert text == TEXT + f"NEW:{ONES}\n" and told == ""
    _, seen, _, told, *views = fold.on_save("# all new\n", seen)
    assert text_of(part) == "# all new\n" and "Saved." in told and "data-key" not in views[0]
    typed, _, _, told = fold.on_change("# typed\n", seen)
    assert typed == gr.update() and "not saved" in told
    assert "Nothing was changed." in fold.on_save("# all new\n", seen)[3]


def test_a_stale_text_is_not_saved(part: EntryPart) -> None:
    text, seen, _, _ = part.text.on_reload()
    part.entries.file.path.write_text("# theirs\n", encoding="utf8")
    assert "Another program" in part.text.on_save(text + "# mine\n", seen)[3]
    assert text_of(part) == "# theirs\n"


def test_earlier_versions_can_be_looked_at(part: EntryPart) -> None:
    part.entries.on_delete(chosen("BODY"))
    (name,) = part.text.on_reload()[2]["choices"]
    text, told = part.text.on_look(name)
    assert text == TEXT and "earlier version" in told
    assert "Choose an earlier version" in part.text.on_look(None)[1]
    assert "no backup" in part.text.on_look("x.txt")[1]


def test_an_import_is_told_first_and_loses_nothing(part: EntryPart) -> None:
    theirs = f"# about hands\nHAND:{ONES}\nBODY:{ONES}\nFACE:{ONES}\nSHORT:1,2\n"
    told = part.imports.on_look(theirs, "Keep mine")
    assert "<th>New</th><td>1</td><td>HAND</td>" in told and "mine stays" in told and "Line 5" in told
    assert text_of(part) == TEXT
    report, *views = part.imports.on_take(theirs, "Keep both, theirs as NAME_2")
    assert "theirs becomes BODY_2" in report and "Imported." in state(views)
    assert names(part) == ["FACEsd15", "FACEsdxl", "BODYsd15", "HANDsd15", "BODY_2sd15"]
    assert "no entry in this text" in part.imports.on_look("hello", "Keep mine")
    assert "theirs is taken" in part.imports.on_take(theirs, "Take theirs")[0]


def test_files_of_others_are_opened_whatever_their_encoding(part: EntryPart, tmp_path: Path) -> None:
    file = tmp_path / "theirs.txt"
    file.write_bytes(f"# 顔\r\nA:{ONES}\r\n".encode("cp932"))
    text, told = part.imports.on_upload(SimpleNamespace(name=str(file)))
    assert text.startswith("# 顔") and "theirs.txt: 1, read as Shift-JIS" in told
    picture = part.imports.on_upload(SimpleNamespace(name=str(tmp_path / "picture.png")))
    assert "is no text file" in picture[1]
    assert "is not there any more" in part.imports.on_peer()[1]
    assert "cannot be read" in part.imports.on_upload(SimpleNamespace(name=str(tmp_path / "gone.txt")))[1]


def test_the_peers_own_file_has_a_button_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / SHIPPED.name).write_text(f"THEIRS:{ONES}\n", encoding="utf-8-sig")
    for folder, there in ((tmp_path / "scripts", True), (tmp_path / "none", False)):
        part = PresetManager(tmp_path, "bw", [tmp_path / "old", folder])
        with gr.Blocks() as page:
            part.lay_out()
        assert ("bw_presets_peer" in [block.elem_id for block in page.blocks.values()]) is there
        if there:
            assert part.imports.on_peer()[0] == f"THEIRS:{ONES}\n"


def test_missing_shipped_presets_come_back(part: EntryPart) -> None:
    report, *_ = part.imports.on_missing()
    shipped = PRESETS.items(SHIPPED.read_text(encoding="utf8"))
    assert {item.key for item in shipped} <= {item.key for item in PRESETS.items(text_of(part))}
    assert text_of(part).startswith(TEXT) and "FACE" in report


def test_rules_are_edited_as_presets_are(tmp_path: Path) -> None:
    part = _laid_out(ElementManager(tmp_path, "bw"))
    views = part.entries.on_show(str(Choice(Key("ATTNDEEPOFF"))))
    assert views[4:] == ["ATTNDEEPOFF", "IN05-OUT05:attn:0", "attention of the deep blocks off", False]
    assert "tl-parts" not in views[0]
    part.entries.on_change(views[3], "SOFT", "IN05-OUT05:attn:0.5\nM00::0", "softer", True)
    item = next(item for item in ELEMENTS.items(text_of(part)) if item.key.name == "SOFT")
    assert (item.body, *item.hint) == ("IN05-OUT05:attn:0.5\nM00::0", "softer", True)
    assert [entry.id for entry in Elements.load(tmp_path / RULES.name).entries] == [
        "ATTNDEEPON", "SOFT", "PROJDEEPOFF", "XYZ"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / SHIPPED.name).mkdir()
    part = _laid_out(PresetManager(tmp_path, "bw"))
    assert "cannot be read" in part.entries.on_show("")[0]
    assert "cannot be read" in "".join(part.entries.on_add("", "A", ONES, "", False)[:2])
