"""The checkpoint drop-down on a real host: another file, a broken one, one that has gone."""
from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from lib_trainer.bootstrap import App
from lib_trainer.ui.checkpoint_picker import CheckpointPicker
from tests import tiny_checkpoint
from tests.ui.conftest import app_in


@pytest.fixture
def app(tmp_path: Path) -> App:
    return app_in(tiny_checkpoint.write(tmp_path / "models"), tmp_path)


@pytest.fixture
def picker(app: App) -> CheckpointPicker:
    picker = CheckpointPicker(app.host)
    with gr.Blocks():
        picker.lay_out()
        picker.connect(gr.Slider(), gr.Slider())
    return picker


def test_another_checkpoint_is_loaded(app: App, picker: CheckpointPicker, tmp_path: Path) -> None:
    assert picker.choice.value == "tiny.safetensors"
    tiny_checkpoint.write(tmp_path / "models", "other.safetensors", seed=1)
    assert picker.on_look("tiny.safetensors")["choices"] == ["other.safetensors", "tiny.safetensors"]
    choice, told, width, height = picker.on_choose("other.safetensors")
    assert app.host.checkpoint().name == "other.safetensors" == choice["value"]
    assert told == "" and width["value"] == height["value"] == 64


def test_what_cannot_be_used_is_told_and_nothing_changes(
    app: App, picker: CheckpointPicker, tmp_path: Path
) -> None:
    (tmp_path / "models" / "broken.safetensors").write_bytes(b"no checkpoint")
    for name in ("broken.safetensors", "gone.safetensors"):
        choice, told, _, _ = picker.on_choose(name)
        assert name in told and choice["value"] == "tiny.safetensors"
    assert app.host.checkpoint().name == "tiny.safetensors"


def test_two_files_of_one_name_are_told_apart(picker: CheckpointPicker, tmp_path: Path) -> None:
    (tmp_path / "models" / "sub").mkdir()
    (tmp_path / "models" / "sub" / "tiny.safetensors").write_bytes(b"")
    names = picker.on_look("")["choices"]
    assert len(names) == 2 and all("models" in name for name in names)
