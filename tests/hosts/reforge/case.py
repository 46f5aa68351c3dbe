"""reForge under the contract of every host: its doubles with the original U-Net."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.hosts.webui.case import WebUICase


class ReforgeCase(WebUICase):
    """reForge of doubles."""

    kind = "reforge"
    levels = 3  # merged into a weight and added to an output, a LoRA's effect is rounded differently

    def _make_model(self, info: Any) -> Any:
        from tests.hosts.reforge import ldm_model

        return ldm_model.make(info)

    def networks(self) -> Sequence[torch.nn.Module]:
        parts = self.model.forge_objects_original
        return [parts.unet.model, parts.clip.cond_stage_model, parts.vae.first_stage_model]

    def _drawn_with(self) -> dict[str, Any]:
        return {"sd_model": self.model}

    @torch.no_grad()
    def states_of(self, ids: Sequence[int], encoder: int = 0) -> torch.Tensor:
        return self.model.encode(torch.tensor([list(ids)]))[0]
