"""The base checkpoint: found by path, name or stem; told before the start; trained on; and given back."""
from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.keeping import AS_IT_IS, Keeping
from lib_trainer.lora import file
from lib_trainer.training import base, check, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.controls import Controls
from lib_trainer.training.forecast import forecast
from lib_trainer.txt2img_host import GenerateRequest
from tests.conftest import Settings


@pytest.fixture
def models(checkpoint: Path, tmp_path: Path) -> Path:
    """A folder with the tiny checkpoint under two names, and one more of the second name in a sub-folder."""
    folder = tmp_path / "models"
    for name in ("first", "Second.v1", "deeper/Twin", "Twin"):
        target = folder / f"{name}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(checkpoint, target)
        shutil.copy(checkpoint.with_suffix(".yaml"), folder / f"{name}.yaml")
    shutil.copytree(checkpoint.parent / "text", folder / "text")
    return folder


@pytest.fixture
def many(models: Path, host: StandaloneHost) -> StandaloneHost:
    return StandaloneHost(models / "first.safetensors", host.paths)


@pytest.mark.parametrize("write", [
    lambda path: str(path), lambda path: path.name, lambda path: path.stem, lambda path: path.name.lower(),
    lambda path: f"anime/{path.name}", lambda path: f"anime\\{path.stem}",
])
def test_names_of_a_checkpoint(many: StandaloneHost, models: Path, write: Callable[[Path], str]) -> None:
    wanted = models / "Second.v1.safetensors"
    assert base.find(write(wanted), many) == wanted
    assert base.find("", many) is None


def test_a_file_that_is_in_no_list(many: StandaloneHost, checkpoint: Path) -> None:
    assert base.find(str(checkpoint), many) == checkpoint


@pytest.mark.parametrize(("name", "told"), [
    ("Secnd.v1", "Second.v1"), ("Twin", "give the whole path"), ("runwayml/stable-diffusion-v1-5", "leave it empty"),
])
def test_no_such_checkpoint(many: StandaloneHost, name: str, told: str) -> None:
    with pytest.raises(UserError, match="base_model = ") as caught:
        base.find(name, many)
    assert told in str(caught.value)


def test_the_switch_is_told_before_the_start(many: StandaloneHost, settings: Settings) -> None:
    note = "Second.v1.safetensors is loaded for this training; first.safetensors comes back when it ends."
    assert note in forecast(settings(base_model="Second.v1"), many).warnings
    assert check.check(settings(base_model="Second.v1"), many).warnings == [note]
    assert check.check(settings(base_model="first"), many).warnings == []


def test_a_base_that_is_no_checkpoint_is_a_fault(many: StandaloneHost, settings: Settings, models: Path) -> None:
    (models / "broken.safetensors").write_bytes(b"x")
    for name in ("broken", "none"):
        with pytest.raises(Problems, match=name):
            check.check(settings(base_model=name), many)


def test_trains_on_the_base_and_goes_back(many: StandaloneHost, settings: Settings) -> None:
    before = many.generate(GenerateRequest("a cat", seed=1, steps=2))[0].image.tobytes()
    events = list(recipe.run(settings(base_model="Second.v1"), many, Controls()))
    started = next(event for event in events if isinstance(event, ev.Started))
    assert started.model == "Second.v1.safetensors"
    metadata = file.load(many.paths.loras / "zko.safetensors").metadata
    assert metadata["ss_sd_model_name"] == "Second.v1.safetensors" and len(metadata["ss_new_sd_model_hash"]) == 64
    assert many.checkpoint().name == "first.safetensors"
    assert many.generate(GenerateRequest("a cat", seed=1, steps=2))[0].image.tobytes() == before


class Hindered(StandaloneHost):
    """A host with a setting that forbids training."""

    def obstacles(self, keeping: Keeping = AS_IT_IS) -> list[str]:
        return ["Token merging is on: set its ratio to 0 in the settings."]


def test_obstacles_of_the_host_are_faults(checkpoint: Path, host: StandaloneHost, settings: Settings) -> None:
    hindered = Hindered(checkpoint, host.paths)
    with pytest.raises(Problems) as caught:
        check.check(settings(), hindered)
    assert caught.value.problems == ["Token merging is on: set its ratio to 0 in the settings."]
    assert forecast(settings(), hindered).problems == caught.value.problems
