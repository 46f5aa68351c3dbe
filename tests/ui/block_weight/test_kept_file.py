"""The file behind the page: whole or not at all, with a way back, never over another program's change."""
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lib_trainer.blocks.presets import SHIPPED
from lib_trainer.errors import UserError
from lib_trainer.ui.block_weight.kept_file import KEPT, KeptFile


@pytest.fixture
def kept(tmp_path: Path) -> KeptFile:
    return KeptFile(tmp_path / "lbwpresets.txt", SHIPPED, tmp_path / "backups", "presets")


def test_an_absent_file_begins_with_the_shipped_one(kept: KeptFile) -> None:
    assert kept.read().content == SHIPPED.read_bytes() == kept.path.read_bytes()
    assert kept.backups() == []


def test_the_version_before_is_kept_twice(kept: KeptFile, tmp_path: Path) -> None:
    kept.path.write_bytes(b"one\n")
    assert kept.edit(lambda text: text + "two\n")
    assert kept.save("three\n", kept.read().stamp)
    assert kept.path.read_bytes() == b"three\n"
    assert (tmp_path / "lbwpresets.txt.bak").read_bytes() == b"one\ntwo\n"
    assert [path.read_bytes() for path in kept.backups()] == [b"one\ntwo\n", b"one\n"]
    assert kept.backup(kept.backups()[-1].name) == "one\n"
    with pytest.raises(UserError, match=r"no backup '\.\./secret' any more"):
        kept.backup("../secret")


def test_the_last_ten_backups_are_kept(kept: KeptFile) -> None:
    kept.path.write_bytes(b"")
    for number in range(KEPT + 3):
        kept.edit(lambda text, number=number: f"{number}")
    assert [path.read_text() for path in kept.backups()] == [str(n) for n in range(KEPT + 1, 1, -1)]


def test_nothing_is_written_when_nothing_changes(kept: KeptFile) -> None:
    kept.path.write_bytes(b"one\n")
    assert not kept.edit(lambda text: text)
    assert not kept.save("one\n", kept.read().stamp)
    assert kept.backups() == []


def test_another_programs_change_is_not_overwritten(kept: KeptFile) -> None:
    kept.path.write_bytes(b"one\n")
    seen = kept.read().stamp
    kept.path.write_bytes(b"two\n")
    with pytest.raises(UserError, match="Read the file again"):
        kept.save("mine\n", seen)
    assert kept.path.read_bytes() == b"two\n"
    assert kept.edit(lambda text: text + "three\n")
    assert kept.path.read_bytes() == b"two\nthree\n"


def test_byte_order_mark_and_line_ends_survive_a_browser(kept: KeptFile) -> None:
    kept.path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert kept.save("one\n2\n", kept.read().stamp)
    assert kept.path.read_bytes() == b"\xef\xbb\xbfone\r\n2\r\n"


@pytest.mark.parametrize(("codec", "name"), [("cp932", "Shift-JIS"), ("utf-16", "UTF-16")])
def test_another_encoding_is_told_and_becomes_utf8(kept: KeptFile, codec: str, name: str) -> None:
    kept.path.write_bytes("# 顔の表情\n".encode(codec))
    assert kept.read().encoding == name
    kept.edit(lambda text: text + "A\n")
    assert kept.path.read_text(encoding="utf8") == "# 顔の表情\nA\n"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptFile(tmp_path / "file" / "presets.txt", SHIPPED, tmp_path / "backups", "presets")
    with pytest.raises(UserError, match="cannot be written"):
        kept.edit(lambda text: text + "x")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(kept: KeptFile, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_bytes(b"one\n")
    os.symlink(tmp_path / "real.txt", kept.path)
    kept.edit(lambda text: "two\n")
    assert kept.path.is_symlink()
    assert (tmp_path / "real.txt").read_bytes() == b"two\n"
