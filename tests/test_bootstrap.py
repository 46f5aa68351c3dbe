"""The embedded app: folders are made, models found by name, and faults told."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer import bootstrap
from lib_trainer.errors import UserError


def test_standalone(tmp_path: Path, checkpoint: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for path in checkpoint.parent.iterdir():
        (models / path.name).symlink_to(path)
    app = bootstrap.standalone(Path("tiny.safetensors"), models, tmp_path / "a" / "loras", tmp_path / "outputs")
    assert app.host.checkpoint().name == "tiny.safetensors"
    paths = app.host.paths
    assert all(folder.is_dir() and folder.is_absolute() for folder in vars(paths).values())
    assert (paths.loras, paths.outputs) == (tmp_path / "a" / "loras", tmp_path / "outputs")
    assert app.jobs.current is None
    assert app.host.presets().get("NCNF")


def test_a_presets_file_of_ones_own(tmp_path: Path, checkpoint: Path) -> None:
    presets = tmp_path / "presets.txt"
    presets.write_text("MINE:" + ",".join(["0.5"] * 17))
    app = bootstrap.standalone(checkpoint, tmp_path / "m", tmp_path / "l", tmp_path / "o", presets)
    assert app.host.presets().names == ["MINE"]


def test_faults(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        bootstrap.standalone(None, tmp_path / "m", tmp_path / "file" / "loras", tmp_path / "o")
    with pytest.raises(UserError, match=r"none\.safetensors"):
        bootstrap.standalone(Path("none.safetensors"), tmp_path / "m", tmp_path / "l", tmp_path / "o")
