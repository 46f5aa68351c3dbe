"""Settings of other programs on the command line: converted, told about, refused, trained."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_trainer.cli.main import main
from lib_trainer.training.interchange import reading


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.toml"
    path.write_text('output_name = "a"\nnetwork_dim = 8\nresolution = "64,64"\nvae = "x.pt"\nseed = 1\n', "utf8")
    return path


@pytest.mark.parametrize("kind", ["ours", "sd-scripts", "dataset", "kohya_ss", "command"])
def test_settings_are_written_for_every_program(theirs: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "convert", str(theirs), "--to", kind]) == 0
    printed = capsys.readouterr()
    assert "Not supported: vae = 'x.pt'" in printed.err
    assert "Defaults of sd-scripts that were taken: network_alpha is not given" in printed.err
    assert reading.read_text(printed.out).kind == kind


def test_a_file_is_written_once(theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    command = ["recipe", "convert", str(theirs), "--to", "ours", "--out", str(out), "--set", "rank=3"]
    assert main(command) == 0 and json.loads(out.read_text("utf8"))["rank"] == 3
    assert main(command) == 1 and "is not overwritten" in capsys.readouterr().err


def test_what_is_wrong_is_told_together(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs.write_text('output_name = "a"\nlr_warmup_steps = 5\nfp8_base = true\nnonsense = 1\n', "utf8")
    assert main(["recipe", "convert", str(theirs), "--to", "command"]) == 1
    said = capsys.readouterr().err
    assert all(text in said for text in ("nonsense", "lr_warmup_steps = 5", "fp8_base without mixed_precision"))


def test_what_cannot_be_said_there_is_told(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "convert", str(theirs), "--to", "sd-scripts", "--set", "ema_decay=0.9"]) == 0
    assert "Cannot be said there: ema_decay = 0.9" in capsys.readouterr().err


def test_train_takes_a_command_and_refuses_what_contradicts_itself(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "train.sh"
    words = (f'train_network.py --train_data_dir "{pictures.as_posix()}" --output_name a --network_dim 2 '
             "--resolution 64 --max_train_steps 2 --learning_rate 1e-3 --caption_extension .txt --vae x.pt")
    folders = [f"--{name}-dir={tmp_path / name}" for name in ("models", "loras", "outputs")]
    script.write_text(f"{words} --lr_warmup_steps 5", "utf8")
    assert main(["train", str(script), "--model", str(checkpoint), *folders, "--json"]) == 1
    failed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert any("has no warm-up" in sentence for sentence in failed["problems"])
    script.write_text(words, "utf8")
    assert main(["train", str(script), "--model", str(checkpoint), *folders]) == 0
    assert "Not supported: vae = 'x.pt'" in capsys.readouterr().err
    assert (tmp_path / "loras" / "a.safetensors").exists()
