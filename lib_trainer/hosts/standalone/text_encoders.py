"""The text encoders of a loaded checkpoint: captions and pieces of prompts in, what the U-Net is told out.

Clip skip counts layers from the end: 1 is the last one in use, 2 the one before, each through the final LayerNorm. The
families without a choice (SDXL) take the last layer but one of every encoder as it is, side by side, and the projected
pooled vector of the last encoder.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lib_trainer.families.family import Family, TextEncoderFacts
from lib_trainer.host_model import Conditioning
from lib_trainer.hosts import clip_states
from lib_trainer.hosts.captions import weighed
from lib_trainer.hosts.standalone.tokens import Tokenizer


@dataclass(frozen=True, eq=False)
class TextEncoders:
    """The encoders in the family's order.

    Attributes:
        family: what they belong to.
        networks: transformers' CLIPTextModel (with projection where the family is told a pooled vector).
    """

    family: Family
    networks: tuple[Any, ...]
    tokenizer: Tokenizer

    @property
    def layers(self) -> int:
        """How many layers clip skip can choose from."""
        return len(self.networks[0].text_model.encoder.layers)

    def named(self) -> list[tuple[str, torch.nn.Module]]:
        """Returns kohya's prefix of every encoder, and the encoder."""
        return [(facts.prefix, network) for network, facts in self._members()]

    def captions(self, captions: Sequence[str], clip_skip: int, chunks: int, weighted: bool = False) -> Conditioning:
        """Encodes captions literally, but for weights where they have some.

        Returns:
            states (B, 75 * chunks + 2, C), and the pooled vector (B, P) of the first chunk where the family has one.

        Raises:
            UserError: an encoder has fewer layers than clip_skip.
        """
        told = self.together([
            clip_states.states(network, self.tokenizer.captions(captions, chunks, facts, weighted),
                               **self._wanted(clip_skip))
            for network, facts in self._members()
        ])
        return replace(told, hidden=weighed(told.hidden, self.tokenizer.all_ids, captions)) if weighted else told

    def pieces(
        self, pieces: Sequence[Sequence[int]], clip_skip: int
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Encodes the pieces of a prompt, each up to 75 token ids.

        Returns:
            per encoder the states (N, 77, C) and the last layer's normalised states (N, C) at the end tokens.

        Raises:
            UserError: an encoder has fewer layers than clip_skip.
        """
        wrapped = [torch.tensor([self.tokenizer.wrap(piece, facts) for piece in pieces])
                   for _, facts in self._members()]
        return [clip_states.rows(network, ids, **self._wanted(clip_skip))
                for network, ids in zip(self.networks, wrapped, strict=True)]

    def together(self, found: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> Conditioning:
        """Joins states (B, T, C) and normalised end states (B, C) of all encoders to what the U-Net is told."""
        hidden = torch.cat([states for states, _ in found], dim=-1) if len(found) > 1 else found[0][0]
        if not self.family.has_size_ids:
            return Conditioning(hidden)
        return Conditioning(hidden, pooled=self.networks[-1].text_projection(found[-1][1]))

    def _members(self) -> list[tuple[Any, TextEncoderFacts]]:
        return list(zip(self.networks, self.family.text_encoders, strict=True))

    def _wanted(self, clip_skip: int) -> dict[str, Any]:
        has_choice = self.family.has_clip_skip
        layer = clip_states.layer_of(clip_skip, self.layers) if has_choice else clip_states.PENULTIMATE
        return {"layer": layer, "normed": has_choice, "end": self.tokenizer.end}
