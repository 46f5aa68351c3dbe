"""Which files of a run are written and kept, and what they say of themselves."""
from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file, thumbnail
from lib_trainer.training import events as ev
from lib_trainer.training import recipe
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.outputs import room, saving
from lib_trainer.training.progress import Length
from tests.conftest import Settings


def run_of(step: int, *saved: str, **settings: int) -> SimpleNamespace:
    record = SimpleNamespace(files={f"/loras/{name}.safetensors": [] for name in saved})
    return SimpleNamespace(config=TrainConfig(name="a", **settings), step=step, record=record)  # type: ignore[arg-type]


@pytest.mark.parametrize(("run", "old"), [
    (run_of(9, "a-000001", "a-000002", "a-000003", keep_last_epochs=2), ["a-000001"]),
    (run_of(9, "a-000001", "a-000002", keep_last_epochs=2), []),
    (run_of(9, "a-000001", "a-000002", "a-000003"), []),
    # sd-scripts: at step 8, files before step 8 - 4 go.
    (run_of(8, "a-step00000002", "a-step00000004", "a-step00000008", save_every_steps=2, keep_last_steps=4),
     ["a-step00000002"]),
    # Asked for by the person, between two files that were due.
    (run_of(8, "a-step00000003", "a-step00000008", save_every_steps=2, keep_last_steps=1), []),
    (run_of(8, "a", "ab-000001", "a-best", keep_last_epochs=1), []),
])
def test_what_is_too_old(run: saving.Run, old: list[str]) -> None:
    assert saving.surplus(run) == old


@pytest.mark.parametrize(("ratio", "every", "epochs", "apart"), [
    (5, 0, 20, 4), (5, 3, 21, 4), (30, 0, 20, 1), (0, 3, 20, 3), (0, 0, 20, 0),
])
def test_how_many_epochs_lie_between_files(ratio: int, every: int, epochs: int, apart: int) -> None:
    """sd-scripts: every floor(epochs / ratio) epochs, at least every one."""
    assert saving.epochs_apart(TrainConfig(save_epoch_ratio=ratio, save_every_epochs=every), epochs) == apart


def test_room_is_needed_for_the_files_that_are_kept() -> None:
    length = Length(total=100, epochs=10, updates_per_epoch=10)
    assert room.files_kept(TrainConfig(save_every_epochs=1), length) == 9
    assert room.files_kept(TrainConfig(save_every_epochs=1, keep_last_epochs=2), length) == 3
    assert room.files_kept(TrainConfig(save_every_steps=10, keep_last_steps=20), length) == 4


def test_a_run_removes_its_own_old_files_and_no_others(host: StandaloneHost, settings: Settings) -> None:
    config = settings(epochs=5, save_every_epochs=1, keep_last_epochs=1)
    folder = host.paths.loras
    seen: list[ev.Event] = []
    for event in recipe.run(config, host, Controls()):
        seen.append(event)
        if isinstance(event, ev.Saved) and event.name == "zko-000002":
            # Somebody puts another LoRA in the place of a file of the run.
            other = folder / "zko-000002.safetensors"
            tensors = {name: tensor + 1 for name, tensor in file.load(other).tensors.items()}
            file.save(other, tensors, {}, overwrite=True)
    removed = [event.name for event in seen if isinstance(event, ev.Removed)]
    assert removed == ["zko-000001", "zko-000003"]
    assert sorted(path.stem for path in folder.glob("*.safetensors")) == ["zko", "zko-000002", "zko-000004"]


def test_what_is_written_about_the_file(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    picture = tmp_path / "small.png"
    Image.new("RGB", (4, 4), "red").save(picture)
    config = settings(steps=1, title="Zunko", author="me", tags="girl, green", thumbnail=str(picture),
                      trigger_phrase="zzz", min_timestep=100)
    list(recipe.run(config, host, Controls()))
    metadata = file.read_header(host.paths.loras / "zko.safetensors")[1]
    told = {key: metadata.get(f"modelspec.{key}") for key in (
        "title", "author", "tags", "trigger_phrase", "timestep_range", "license")}
    assert told == {"title": "Zunko", "author": "me", "tags": "girl, green", "trigger_phrase": "zzz",
                    "timestep_range": "100,1000", "license": None}
    kind, _, content = metadata["modelspec.thumbnail"].partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(content) == picture.read_bytes()


def test_a_minimal_record_tells_nothing_of_the_data(host: StandaloneHost, settings: Settings) -> None:
    list(recipe.run(settings(steps=1, file_metadata="minimal", conv_rank=2), host, Controls()))
    metadata = file.read_header(host.paths.loras / "zko.safetensors")[1]
    assert {key for key in metadata if key.startswith("ss_")} == {
        "ss_v2", "ss_base_model_version", "ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_network_args"}
    assert not any("zko, colour" in text or "pictures" in text for text in metadata.values())
    assert "modelspec.trigger_phrase" not in metadata and metadata["modelspec.title"] == "zko"


@pytest.mark.parametrize(("content", "said"), [
    (b"GIF89a", "no PNG, JPEG or WebP"), (b"\x89PNG\r\n\x1a\n" + bytes(1_000_001), "too much"),
    (None, "cannot be read"),
])
def test_a_thumbnail_that_cannot_be_kept(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "t.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        thumbnail.data_url(str(path))


def test_a_missing_thumbnail_is_told_before_the_start(host: StandaloneHost, settings: Settings) -> None:
    with pytest.raises(Problems, match="thumbnail"):
        next(recipe.run(settings(thumbnail="nowhere.png"), host, Controls()))
