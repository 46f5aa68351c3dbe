"""Forge under the contract of every host: the doubles with a tiny U-Net."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tests.hosts.webui.case import WebUICase


class ForgeCase(WebUICase):
    """Forge of doubles."""

    kind = "forge"
    levels = 2  # merged into the text encoder's float16 weights, a LoRA's effect is rounded

    def _make_model(self, info: Any) -> Any:
        from tests.hosts.forge.engine import Engine

        return Engine(Path(info.filename))

    def networks(self) -> Sequence[torch.nn.Module]:
        parts = self.model.forge_objects_original
        return [parts.unet.model, parts.clip.cond_stage_model, parts.vae.first_stage_model]

    def load_checkpoint(self, first: bool) -> None:
        """Chooses it at the top of the page and draws with it, which loads it."""
        from modules_forge import main_entry

        main_entry.checkpoint_change(self.checkpoint_file(first).name)
        self.draw()

    def states_of(self, ids: Sequence[int], encoder: int = 0) -> torch.Tensor:
        return self.model.states(torch.tensor([list(ids)]))[0].clone()
