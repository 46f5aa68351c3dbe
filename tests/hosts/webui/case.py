"""A WebUI of doubles under the contract of every host: what the three programs have in common, and the person at them.

Each program's own case says how its model is made and where its networks are.
"""
from __future__ import annotations

import importlib
from abc import abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lib_trainer.hosts.webui.host import WebUIHost
from lib_trainer.hosts.webui.lock import waiting_for
from tests import tiny_checkpoint
from tests.contract.case import STEPS, HostCase
from tests.hosts import doubles


class WebUICase(HostCase):
    """A program of doubles, with two tiny checkpoints.

    Attributes:
        kind: the program, by the name of its doubles and of its folder in `lib_trainer.hosts`.
    """

    kind: str

    def __init__(self, folder: Path) -> None:
        self._files = [tiny_checkpoint.write(folder / "models", f"{seed}.safetensors", seed) for seed in (0, 1)]
        self._doubles = ExitStack()
        self._doubles.enter_context(doubles.installed(self.kind, folder))
        self._start()
        from lib_trainer.hosts.webui.tags import stand_before_lora

        backend = importlib.import_module(f"lib_trainer.hosts.{self.kind}.backend")
        self.host: WebUIHost = WebUIHost(backend.make())
        assert self.host.paths.loras.is_dir()
        stand_before_lora(self.host)
        self.load_checkpoint(first=True)

    def _start(self) -> None:
        """Does what the program does when it starts."""
        import extra_networks_lora
        from modules import extra_networks, sd_models

        sd_models.model_path = str(self._files[0].parent)
        sd_models.model_maker = self._make_model
        sd_models.list_models()
        extra_networks.initialize()
        stock = extra_networks_lora.ExtraNetworkLora()
        extra_networks.register_extra_network(stock)
        extra_networks.register_extra_network_alias(stock, "lyco")

    @abstractmethod
    def _make_model(self, info: Any) -> Any:
        """Makes the program's model from the program's record of a checkpoint."""

    def close(self) -> None:
        self._doubles.close()

    @property
    def model(self) -> Any:
        """The program's model."""
        from modules import sd_models

        return sd_models.model_data.sd_model

    def draw(self, prompt: str = "a cat", seed: int = 3) -> bytes:
        from modules import call_queue, processing, shared

        with call_queue.queue_lock:
            shared.state.begin(job="txt2img")
            try:
                p = processing.StableDiffusionProcessingTxt2Img(
                    prompt=prompt, seed=seed, steps=STEPS, width=64, height=64, sampler_name="Euler", cfg_scale=7.0,
                    **self._drawn_with())
                pixels: bytes = processing.process_images(p).images[0].tobytes()
                return pixels
            finally:
                shared.state.end()

    def _drawn_with(self) -> dict[str, Any]:
        """What else the program's page gives a generation."""
        return {}

    def load_checkpoint(self, first: bool) -> None:
        from modules import call_queue, sd_models
        from modules.shared import opts

        with call_queue.queue_lock:
            opts.set("sd_model_checkpoint", self.checkpoint_file(first).name)
            sd_models.reload_model_weights()

    def checkpoint_file(self, first: bool) -> Path:
        return self._files[0 if first else 1]

    def interrupt(self) -> None:
        from modules import shared

        shared.state.interrupt()

    def waiting(self) -> int:
        from modules.call_queue import queue_lock

        return waiting_for(queue_lock)
