"""reForge under the contract of every host: its doubles with the original U-Net, and the person before them."""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from lib_trainer.hosts.webui.host import WebUIHost
from lib_trainer.hosts.webui.lock import waiting_for
from tests import tiny_checkpoint
from tests.contract.case import HostCase
from tests.hosts import doubles


class ReforgeCase(HostCase):
    """reForge of doubles, with two tiny checkpoints."""

    levels = 3  # merged into a weight and added to an output, a LoRA's effect is rounded differently

    def __init__(self, folder: Path) -> None:
        self._files = [tiny_checkpoint.write(folder / "models", f"{seed}.safetensors", seed) for seed in (0, 1)]
        self._doubles = ExitStack()
        self._doubles.enter_context(doubles.installed("reforge", folder))
        self._start()
        from lib_trainer.hosts.reforge import backend
        from lib_trainer.hosts.webui.tags import stand_before_lora

        self.host: WebUIHost = WebUIHost(backend.make())
        assert self.host.paths.loras.is_dir()
        stand_before_lora(self.host)
        self.load_checkpoint(first=True)

    def _start(self) -> None:
        """Does what the program does when it starts."""
        import extra_networks_lora
        from modules import extra_networks, sd_models

        from tests.hosts.reforge import ldm_model

        sd_models.model_path = str(self._files[0].parent)
        sd_models.model_maker = ldm_model.make
        sd_models.list_models()
        extra_networks.initialize()
        stock = extra_networks_lora.ExtraNetworkLora()
        extra_networks.register_extra_network(stock)
        extra_networks.register_extra_network_alias(stock, "lyco")

    def close(self) -> None:
        self._doubles.close()

    @property
    def model(self) -> Any:
        """The program's model."""
        from modules import sd_models

        return sd_models.model_data.sd_model

    def networks(self) -> Sequence[torch.nn.Module]:
        parts = self.model.forge_objects_original
        return [parts.unet.model, parts.clip.cond_stage_model, parts.vae.first_stage_model]

    def draw(self, prompt: str = "a cat", seed: int = 3) -> bytes:
        from modules import call_queue, processing, shared

        with call_queue.queue_lock:
            shared.state.begin(job="txt2img")
            try:
                p = processing.StableDiffusionProcessingTxt2Img(
                    sd_model=self.model, prompt=prompt, seed=seed, steps=4, width=64, height=64, sampler_name="Euler",
                    cfg_scale=7.0)
                pixels: bytes = processing.process_images(p).images[0].tobytes()
                return pixels
            finally:
                shared.state.end()

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

    @torch.no_grad()
    def states_of(self, ids: Sequence[int]) -> torch.Tensor:
        return self.model.encode(torch.tensor([list(ids)]))[0]
