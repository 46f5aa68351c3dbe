"""Metadata files: captions and tags of all pictures in one JSON or JSONL file."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.data.captions.caption_rules import CaptionRules
from lib_trainer.data.scanning.metadata_scan import scan_metadata
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError
from tests.data_tests.drawn import caption, picture


def written(folder: Path, values: Any) -> Path:
    return caption(folder / "meta.json", values if isinstance(values, str) else json.dumps(values))


def test_caption_and_tags_of_pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b (2).png", "b (10).jpg", "sub/c.webp"):
        picture(tmp_path / "pics" / name, (80, 40))
    elsewhere = picture(tmp_path / "other" / "d.png")
    file = written(tmp_path, {
        "b (10).jpg": {"caption": "ten"}, "b (2).png": {"tags": "t, u"}, "a": {"caption": "cap", "tags": "t"},
        "sub/c": {"image_size": [1, 1]}, str(elsewhere): {"caption": "far"},
    })
    found = scan_metadata(file, tmp_path / "pics", subset=Subset("", prefix="0.0/", repeats=3), trigger="class")
    assert {item.key: item.caption for item in found.items} == {
        "0.0/a.png": "cap,t", "0.0/b (2).png": "t, u", "0.0/b (10).jpg": "ten", "0.0/sub/c.webp": "class",
        f"0.0/{elsewhere.as_posix()}": "far",
    }
    assert [item.path.name for item in found.items][:3] == ["d.png", "a.png", "b (2).png"]
    assert all(item.path.is_file() and item.repeats == 3 and item.folder == "meta.json" for item in found.items)
    assert (found.items[1].width, found.items[1].height) == (80, 40)
    assert (found.problems, found.warnings, found.skipped) == ([], [], [])


def test_lines_of_jsonl(tmp_path: Path) -> None:
    one = picture(tmp_path / "a.png")
    two = picture(tmp_path / "b.png")
    file = caption(tmp_path / "meta.jsonl", "\n".join([
        json.dumps({"image_path": str(one), "caption": "first\nsecond", "tags": "t\nu"}), "",
        json.dumps({"image_path": str(two), "tags": "t"}),
    ]))
    assert [item.caption for item in scan_metadata(file).items] == ["first,t,u", "t"]
    wild = Subset("", captions=CaptionRules(wildcards=True))
    assert [item.caption for item in scan_metadata(file, subset=wild).items] == ["first,t,u\nsecond,t,u", "t"]


def test_missing_and_broken_pictures_are_listed(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"no")
    found = scan_metadata(written(tmp_path, {name: {"caption": "c"} for name in ("a", "broken", "gone", "gone.png")}),
                          tmp_path)
    assert [item.file for item in found.items] == ["a.png"]
    assert [skip.path.name for skip in found.skipped] == ["broken", "gone", "gone.png"]


def test_empty_captions_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (warning,) = scan_metadata(written(tmp_path, {"a": {}}), tmp_path).warnings
    assert "1 picture (a.png) will be trained with an empty caption" in warning


def test_faults_are_told_with_their_place(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    found = scan_metadata(written(tmp_path, {"a": {}, "b": 5, "c": {"caption": 7}, "": {}}), tmp_path)
    assert len(found.problems) == 3
    assert "'b': it must be an object with a caption or tags, not 5." in found.problems[0]
    file = caption(tmp_path / "m.jsonl", '{"image_path": "a.png"}\nno\n{"caption": "c"}')
    faults = scan_metadata(file, tmp_path).problems
    assert "line 2: it must be" in faults[0] and "line 3: its image_path" in faults[1]


@pytest.mark.parametrize(("name", "text", "words"), [
    ("m.txt", "{}", "give a .json or .jsonl file"), ("m.json", "[]", "must hold an object"),
    ("m.json", "{", "not valid"), ("m.json", "{}", "no usable picture"), ("m.json", '{"x.png": {}}', "x.png: "),
])
def test_files_that_cannot_be_used(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        scan_metadata(caption(tmp_path / name, text), tmp_path)


def test_relative_paths_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the picture folder"):
        scan_metadata(written(tmp_path, {"a.png": {}}))
    with pytest.raises(UserError, match="cannot be read"):
        scan_metadata(tmp_path / "gone.json", tmp_path)
