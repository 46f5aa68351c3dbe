"""The hosts under contract. To put another host under the same suite, add a case to `CASES`."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.txt2img_host import GenerateRequest
from tests import tiny_checkpoint, tiny_families
from tests.contract.case import STEPS, HostCase
from tests.hosts.a1111.case import A1111Case
from tests.hosts.forge.case import ForgeCase
from tests.hosts.reforge.case import ReforgeCase


class StandaloneCase(HostCase):
    """The embedded host."""

    def __init__(self, folder: Path) -> None:
        self._files = [self._write(folder / "models", f"{seed}.safetensors", seed) for seed in (0, 1)]
        paths = HostPaths(folder / "loras", folder / "outputs", folder / "settings", folder / "cache")
        self.host: StandaloneHost = StandaloneHost(self._files[0], paths)

    def _write(self, folder: Path, name: str, seed: int) -> Path:
        return tiny_checkpoint.write(folder, name, seed)

    def close(self) -> None:
        self.host._shelf.forget()

    def networks(self) -> Sequence[torch.nn.Module]:
        return self.host._loaded.networks()

    def draw(self, prompt: str = "a cat", seed: int = 3) -> bytes:
        return self.host.generate(GenerateRequest(prompt, seed=seed, steps=STEPS))[0].image.tobytes()

    def load_checkpoint(self, first: bool) -> None:
        self.host.load_model(self.checkpoint_file(first))

    def checkpoint_file(self, first: bool) -> Path:
        return self._files[0 if first else 1]

    def interrupt(self) -> None:
        self.host.interrupt()

    def waiting(self) -> int:
        return self.host._lock.waiting

    @torch.no_grad()
    def states_of(self, ids: Sequence[int], encoder: int = 0) -> torch.Tensor:
        network, rows = self.host._loaded.text.networks[encoder], torch.tensor([list(ids)])
        if self.host.checkpoint().family.has_clip_skip:
            return network(rows).last_hidden_state[0]
        return network(rows, output_hidden_states=True).hidden_states[-2][0]


class Sd2Case(StandaloneCase):
    """The embedded host with an SD 2.x that predicts v."""

    conv_layers = (72, 86)
    tables = ("sd2",)

    def _write(self, folder: Path, name: str, seed: int) -> Path:
        return tiny_families.write(folder, "sd2_v", name, seed)


class SdxlCase(StandaloneCase):
    """The embedded host with an SDXL."""

    conv_layers = (57, 66)
    levels = 4  # torch multiplies by a factor that wants a gradient in another order, which rounds differently
    tables = ("sd1", "sd2")

    def _write(self, folder: Path, name: str, seed: int) -> Path:
        return tiny_families.write(folder, "sdxl", name, seed)


CASES: dict[str, type[HostCase]] = {
    "standalone": StandaloneCase, "a1111": A1111Case, "forge": ForgeCase, "reforge": ReforgeCase,
}

FAMILIES: dict[str, type[HostCase]] = {"standalone-sd2": Sd2Case, "standalone-sdxl": SdxlCase}
"""Other families, for the tests of the model and of what a turn leaves; the rest knows no family."""
