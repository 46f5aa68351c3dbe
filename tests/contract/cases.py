"""The hosts under contract. To put another host under the same suite, add a case to `CASES`."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.txt2img_host import GenerateRequest
from tests import tiny_checkpoint
from tests.contract.case import HostCase
from tests.hosts.a1111.case import A1111Case
from tests.hosts.forge.case import ForgeCase
from tests.hosts.reforge.case import ReforgeCase


class StandaloneCase(HostCase):
    """The embedded host."""

    def __init__(self, folder: Path) -> None:
        self._files = [tiny_checkpoint.write(folder / "models", f"{seed}.safetensors", seed) for seed in (0, 1)]
        paths = HostPaths(folder / "loras", folder / "outputs", folder / "settings", folder / "cache")
        self.host: StandaloneHost = StandaloneHost(self._files[0], paths)

    def close(self) -> None:
        self.host._shelf.forget()

    def networks(self) -> Sequence[torch.nn.Module]:
        return self.host._loaded.networks()

    def draw(self, prompt: str = "a cat", seed: int = 3) -> bytes:
        return self.host.generate(GenerateRequest(prompt, seed=seed, steps=4))[0].image.tobytes()

    def load_checkpoint(self, first: bool) -> None:
        self.host.load_model(self.checkpoint_file(first))

    def checkpoint_file(self, first: bool) -> Path:
        return self._files[0 if first else 1]

    def interrupt(self) -> None:
        self.host.interrupt()

    def waiting(self) -> int:
        return self.host._lock.waiting

    @torch.no_grad()
    def states_of(self, ids: Sequence[int]) -> torch.Tensor:
        encoder = self.host._loaded.text.networks[0]
        return encoder(torch.tensor([list(ids)])).last_hidden_state[0]


CASES: dict[str, type[HostCase]] = {
    "standalone": StandaloneCase, "a1111": A1111Case, "forge": ForgeCase, "reforge": ReforgeCase,
}
