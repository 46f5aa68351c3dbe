"""A WebUI of doubles with two small checkpoints, the first of them loaded."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.hosts.webui.host import WebUIHost
from tests import tiny_checkpoint
from tests.hosts import doubles
from tests.hosts.webui.embedded import EmbeddedBackend, Model


class Person:
    """What a person does with the program: draws, loads a checkpoint."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def processing(self, prompt: str = "a cat", **values: Any) -> Any:
        """Returns a generation of the txt2img tab, not yet begun."""
        from modules import processing, scripts

        p = processing.StableDiffusionProcessingTxt2Img(
            prompt=prompt, **{"seed": 3, "steps": 3, "width": 64, "height": 64, "sampler_name": "Euler", **values})
        p.scripts = scripts.scripts_txt2img
        p.script_args = (0, *(getattr(control, "value", None) for control in scripts.scripts_txt2img.inputs[1:]))
        return p

    def draw(self, prompt: str = "a cat", **values: Any) -> bytes:
        """Draws as the API does: under the lock, as a job of its own. Returns the pixels."""
        from modules import call_queue, processing, shared

        with call_queue.queue_lock:
            shared.state.begin(job="txt2img")
            try:
                pixels: bytes = processing.process_images(self.processing(prompt, **values)).images[0].tobytes()
                return pixels
            finally:
                shared.state.end()

    def choose(self, index: int) -> None:
        """Selects a checkpoint at the top of the page, which loads it."""
        from modules import call_queue, sd_models
        from modules.shared import opts

        with call_queue.queue_lock:
            opts.set("sd_model_checkpoint", self.files[index].name)
            sd_models.reload_model_weights()


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("webui") / "Stable-diffusion"
    return [tiny_checkpoint.write(folder, f"{name}.safetensors", seed) for seed, name in enumerate(("first", "other"))]


@pytest.fixture
def person(model_files: list[Path], tmp_path: Path) -> Iterator[Person]:
    with doubles.installed("webui", tmp_path):
        from modules import sd_models

        sd_models.model_path = str(model_files[0].parent)
        sd_models.model_maker = Model
        sd_models.list_models()
        someone = Person(model_files)
        someone.choose(0)
        yield someone


@pytest.fixture
def host(person: Person) -> WebUIHost:
    return WebUIHost(EmbeddedBackend())
