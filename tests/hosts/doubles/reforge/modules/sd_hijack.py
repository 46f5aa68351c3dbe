"""Double of reForge's embeddings inside prompts."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

model_hijack = SimpleNamespace(fixes=None)


class EmbeddingsWithFixes(torch.nn.Module):
    """Puts the vectors of embeddings over the tokens that name them; asked once for every prompt."""

    def __init__(self, wrapped: torch.nn.Module, embeddings: Any, textual_inversion_key: str = "clip_l") -> None:
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
