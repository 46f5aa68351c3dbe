"""Dropped files become a dataset folder: names kept, nothing overwritten, nothing outside the folder."""
from __future__ import annotations

import io
from pathlib import Path

import pytest

from lib_trainer.data.scanning import new_folder
from lib_trainer.errors import UserError


def files(**named: bytes) -> list[tuple[str, io.BytesIO]]:
    return [(name.replace("__", "."), io.BytesIO(content)) for name, content in named.items()]


def test_names_are_kept_and_captions_stay_beside_their_pictures(tmp_path: Path) -> None:
    dropped = [("zko (1).png", io.BytesIO(b"a")), ("zko (1).txt", io.BytesIO(b"b")), ("絵.JPG", io.BytesIO(b"c"))]
    folder, refused = new_folder.add(tmp_path / "datasets", "ずんこ", dropped)
    assert refused == [] and folder == tmp_path / "datasets" / "ずんこ"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "zko (1).png": b"a", "zko (1).txt": b"b", "絵.JPG": b"c"}


def test_nothing_is_overwritten_and_more_can_be_added(tmp_path: Path) -> None:
    new_folder.add(tmp_path, "x", files(a__png=b"1"))
    folder, refused = new_folder.add(tmp_path, "x", files(a__png=b"2", b__png=b"3"))
    assert (folder / "a.png").read_bytes() == b"1" and (folder / "b.png").read_bytes() == b"3"
    assert len(refused) == 1 and "a.png" in refused[0]


@pytest.mark.parametrize("name", ["../../evil.png", "..\\evil.png", "sub/evil.png"])
def test_a_path_keeps_only_its_last_part(tmp_path: Path, name: str) -> None:
    folder, _ = new_folder.add(tmp_path / "datasets", "x", [(name, io.BytesIO(b"1"))])
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()] == [
        Path("datasets", "x", "evil.png")]
    assert folder.is_dir()


@pytest.mark.parametrize("name", ["", "  ", "..", "a/b", "a\\b", "a:b", "nul\x00"])
def test_names_that_are_no_folder_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="name"):
        new_folder.add(tmp_path, name, files(a__png=b"1"))
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused_with_their_name(tmp_path: Path) -> None:
    _, refused = new_folder.add(tmp_path, "x", files(a__png=b"1", run__exe=b"2", _hidden__png=b"3"))
    assert len(refused) == 1 and "run.exe" in refused[0]
    with pytest.raises(UserError, match=r"run\.exe"):
        new_folder.add(tmp_path, "y", files(run__exe=b"2"))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        new_folder.add(tmp_path / "file", "x", files(a__png=b"1"))


def test_no_half_file_is_left(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        new_folder.add(tmp_path, "x", [("a.png", Broken(b"1"))])
    assert list((tmp_path / "x").iterdir()) == []
