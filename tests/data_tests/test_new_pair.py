"""A dropped pair becomes files that are a pair, byte for byte."""
from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_trainer.data.scanning import new_pair, pairs
from lib_trainer.data.scanning.new_pair import Half
from lib_trainer.data.scanning.pairs import Endings
from lib_trainer.data.scanning.scan import scan
from lib_trainer.errors import Problems


def half(folder: Path, name: str, caption: str = "") -> Half:
    upload = folder / f"upload-{name}"
    Image.new("RGB", (64, 64), (len(name), 0, 0)).save(upload)
    return Half(name, upload, caption)


def test_the_files_are_a_pair(tmp_path: Path) -> None:
    halves = half(tmp_path, "face_open.png", " girl "), half(tmp_path, "other.jpg")
    endings = Endings("_open", "_closed")
    folder = new_pair.add(tmp_path / "datasets", "eyes", halves, endings, ".txt")
    assert sorted(path.name for path in folder.iterdir()) == ["face_closed.jpg", "face_open.png", "face_open.txt"]
    assert (folder / "face_closed.jpg").read_bytes() == halves[1].file.read_bytes()
    found = pairs.pair_in_one(scan(folder).items, endings)
    assert [(one.caption, one.partner and one.partner.caption) for one in found.items] == [("girl", "girl")]


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    halves = half(tmp_path, "face.png", "a"), half(tmp_path, "b.png", "b")
    for _ in range(2):
        folder = new_pair.add(tmp_path / "datasets", "eyes", halves, Endings(), ".txt")
    assert sorted(path.name for path in folder.glob("*.png")) == [
        "face-2.png", "face-2_after.png", "face.png", "face_after.png"]
    assert (folder / "face-2_after.txt").read_text() == "b"
    assert len(pairs.pair_in_one(scan(folder).items, Endings()).items) == 2


def test_all_faults_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    halves = Half("text.png", tmp_path / "text.png"), Half("notes.txt", tmp_path / "text.png")
    with pytest.raises(Problems) as caught:
        new_pair.add(tmp_path / "datasets", "eyes", halves, Endings("_A", "_a"), ".txt")
    assert len(caught.value.problems) == 3
    assert not (tmp_path / "datasets").exists()
