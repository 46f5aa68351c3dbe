"""Double of AUTOMATIC1111's changes to a model: embeddings inside prompts, tiling, comments."""
from __future__ import annotations

from typing import Any

import torch
from modules import sd_models


class StableDiffusionModelHijack:
    fixes: Any = None
    circular_enabled = False

    def __init__(self) -> None:
        self.comments: list[str] = []

    def apply_circular(self, enable: bool) -> None:
        if self.circular_enabled == enable:
            return
        self.circular_enabled = enable
        for layer in sd_models.model_data.sd_model.modules():
            if type(layer) is torch.nn.Conv2d:
                layer.padding_mode = "circular" if enable else "zeros"

    def clear_comments(self) -> None:
        self.comments = []


class EmbeddingsWithFixes(torch.nn.Module):
    """Puts the vectors of embeddings over the tokens that name them; asked once for every prompt."""

    def __init__(self, wrapped: torch.nn.Module, embeddings: StableDiffusionModelHijack) -> None:
        super().__init__()
        self.wrapped = wrapped
        self.embeddings = embeddings

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        fixes, self.embeddings.fixes = self.embeddings.fixes, None
        states = self.wrapped(input_ids)
        for row, found in zip(states, fixes or [], strict=False):
            for offset, vectors in found:
                row[offset + 1:offset + 1 + len(vectors)] = vectors
        return states


model_hijack = StableDiffusionModelHijack()
