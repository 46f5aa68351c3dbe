"""`dataset report` and `cache show|clear`."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib_trainer import bootstrap
from lib_trainer.cli.main import main
from lib_trainer.data.caches import cache_files
from lib_trainer.training import caching


@pytest.fixture
def config(tmp_path: Path, pictures: Path) -> Path:
    Image.new("RGB", (200, 60)).save(pictures / "wide.png")
    path = tmp_path / "zko.json"
    path.write_text(json.dumps({"images": str(pictures), "resolution": "64", "repeats": 3}), encoding="utf8")
    return path


def test_a_report(
    config: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["dataset", "report", str(config), "--model", str(checkpoint)]
    assert main([*command, "--json", "--count", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 4 and [row["key"] for row in found["rows"]] == ["images/wide.png"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 pictures in 1 buckets, 1 enlarged")
    assert lines[3].split() == ["64x64", "4", "12", "1", "0.5833", "17.5%"]
    assert lines[6].split() == ["64x64", "213x64", "70.0%", "x1.07", "3", "images/wide.png"]
    assert main([*command, "--order", "colour"]) == 1
    assert main([*command, "--set", "images=/none/such"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_the_cache_is_shown_and_cleared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = caching.captions_folder(bootstrap.standalone_paths(outputs_dir=tmp_path / "out"))
    cache_files.write(cache_files.place(folder, cache_files.digest("x")), {"hidden": torch.zeros(4)})
    kinds = ["clear", "--kind", "latents"]
    for arguments, files in ((["show"], 1), (kinds, 0), (["show"], 1), (["clear"], 1), ([], 0)):
        assert main(["cache", *arguments, "--outputs-dir", "out"]) == 0
        told = capsys.readouterr().out
        assert f"captions: {files} files" in told or ("captions" not in told and files == 0)
