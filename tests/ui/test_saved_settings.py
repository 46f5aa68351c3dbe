"""Settings files: what was typed comes back, nothing breaks a page's start."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.errors import UserError
from lib_trainer.ui.saved_settings import LAST, Draft, SavedSettings


def test_a_draft_comes_back_faults_included(tmp_path: Path) -> None:
    saved = SavedSettings(tmp_path / "train")
    draft = Draft("character", {"name": "絵", "learning_rate": "abc", "rank": ""})
    saved.save("my set", draft)
    saved.save(LAST, draft)
    assert saved.load("my set") == draft
    assert saved.last() == draft
    assert saved.names() == ["my set"]


def test_settings_that_no_longer_exist_are_left_out(tmp_path: Path) -> None:
    saved = SavedSettings(tmp_path)
    saved.save("old", Draft("", {"rank": 4, "gone": 1}))
    assert saved.load("old").values == {"rank": 4}


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", "nul\x00", "a:b"])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="letters, digits"):
        SavedSettings(tmp_path).save(name, Draft())


@pytest.mark.parametrize("content", ["", "[]", '{"values": 3}', '{"goal": ""}', "\xff"])
def test_a_broken_file_is_named_and_no_last_settings_is_fine(tmp_path: Path, content: str) -> None:
    saved = SavedSettings(tmp_path)
    assert saved.last() is None
    (tmp_path / "last.json").write_text(content, encoding="latin-1")
    assert saved.last() is None
    with pytest.raises(UserError, match=r"last\.json"):
        saved.load(LAST)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    saved = SavedSettings(tmp_path)
    saved.save("one", Draft())
    with pytest.raises(UserError, match=r"'two'.*one"):
        saved.load("two")
