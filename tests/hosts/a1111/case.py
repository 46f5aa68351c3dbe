"""AUTOMATIC1111 under the contract of every host: the doubles with the original U-Net."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.hosts.webui.case import WebUICase


class A1111Case(WebUICase):
    """AUTOMATIC1111 of doubles."""

    kind = "a1111"
    levels = 3  # merged into a weight and added to an output, a LoRA's effect is rounded differently

    def _make_model(self, info: Any) -> Any:
        from tests.hosts.a1111 import ldm_model

        return ldm_model.make(info)

    def networks(self) -> Sequence[torch.nn.Module]:
        return [self.model]

    @torch.no_grad()
    def states_of(self, ids: Sequence[int], encoder: int = 0) -> torch.Tensor:
        return self.model.cond_stage_model.encode_with_transformers(torch.tensor([list(ids)]))[0]
