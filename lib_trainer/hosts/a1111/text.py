"""The text encoders as AUTOMATIC1111 keeps them: transformers' CLIP, and open_clip's for SD 2.x and SDXL's second.

The host wraps every encoder for its prompt grammar. Training asks the wrapper for token ids only and runs the encoder
itself, so emphasis, BREAK and embeddings mean nothing, and gradients flow.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lib_trainer.errors import UserError
from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.host_model import Target
from lib_trainer.hosts.a1111.fused import Parts
from lib_trainer.hosts.captions import caption_ids
from lib_trainer.hosts.webui.ldm_targets import text_targets


@dataclass(frozen=True)
class States:
    """What an encoder says about N rows of ids: states (N, 77, C), and (N, P) pooled where it has one."""

    hidden: torch.Tensor
    pooled: torch.Tensor | None = None


class TextEncoder(ABC):
    """One text encoder of the loaded model.

    Attributes:
        embedder: the host's wrapper; `embedder.wrapped` is the encoder as the original code builds it.
        targets: its adaptable layers.
        fused: attentions that must be taken apart for hooks on the targets to act.
        network: the network itself.
    """

    targets: list[Target]
    fused: list[Parts]
    network: torch.nn.Module

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the token ids of texts, nothing added, nothing cut."""
        found: list[list[int]] = self.embedder.tokenize(list(texts))
        return found

    def ids(self, captions: Sequence[str], chunks: int, weighted: bool = False) -> torch.Tensor:
        """Returns the token ids (B, chunks, 77) int64 of captions taken literally but for weights, if they have any."""
        host = self.embedder
        return caption_ids(
            self.tokenize, captions, chunks, begin=host.id_start, end=host.id_end, pad=host.id_pad, weighted=weighted,
        )

    @abstractmethod
    def encode(self, ids: torch.Tensor, clip_skip: int) -> States:
        """Runs the encoder on ids (N, 77).

        Raises:
            UserError: it has fewer layers than clip_skip.
        """

    def _require_layer(self, clip_skip: int, layers: int) -> None:
        if not 1 <= clip_skip <= layers:
            raise UserError(f"Clip skip must be 1 to {layers} for this checkpoint's text encoder, got {clip_skip}.")


class ClipEncoder(TextEncoder):
    """transformers' CLIP: the encoder of SD 1.x and SDXL's first."""

    def __init__(self, embedder: Any, prefix: str, family: Family) -> None:
        super().__init__(embedder)
        self.network = self._clip = embedder.wrapped.transformer
        self._fixed_layer: int | None = None if family.has_clip_skip else embedder.wrapped.layer_idx
        self.targets = text_targets(self._clip, prefix, family)
        self.fused = []

    def encode(self, ids: torch.Tensor, clip_skip: int) -> States:
        """Returns the states of the chosen layer, normalised; those of the family's fixed layer as they are."""
        if self._fixed_layer is not None:
            return States(self._clip(input_ids=ids, output_hidden_states=True).hidden_states[self._fixed_layer])
        self._require_layer(clip_skip, self._clip.config.num_hidden_layers)
        if clip_skip == 1:
            return States(self._clip(input_ids=ids).last_hidden_state)
        states = self._clip(input_ids=ids, output_hidden_states=True).hidden_states[-clip_skip]
        return States(self._clip.text_model.final_layer_norm(states))


class OpenClipEncoder(TextEncoder):
    """open_clip's text transformer: the encoder of SD 2.x, and SDXL's second with a pooled vector."""

    def __init__(self, embedder: Any, prefix: str, family: Family) -> None:
        super().__init__(embedder)
        self.network = self._clip = embedder.wrapped.model
        self._pools = family.has_size_ids
        self._blocks = list(self._clip.transformer.resblocks)
        self._unused: int = 0 if self._pools else embedder.wrapped.layer_idx
        acting = len(self._blocks) - self._unused
        self.fused = [Parts.of(block.attn) for block in self._blocks[:acting]]
        self.targets = [
            target for number in range(acting) for target in self._targets_of(number, prefix)
            if family.is_text_layer(target.name)
        ]

    def _targets_of(self, number: int, prefix: str) -> list[Target]:
        block, parts, found = self._blocks[number], self.fused[number], []
        for path, module in block.named_modules():
            for name, place in ldm.text_layers(f"transformer.resblocks.{number}.{path}", prefix).items():
                if place.third is not None:
                    found.append(Target(name, parts.inputs, place.rows(parts.inputs.weight.shape[0])))
                else:
                    found.append(Target(name, parts.output if path == "attn.out_proj" else module))
        return found

    def encode(self, ids: torch.Tensor, clip_skip: int) -> States:
        """Returns the states; of SDXL's those of the last layer but one as they are, and the pooled last ones."""
        if not self._pools:
            self._require_layer(clip_skip, len(self._blocks) - self._unused)
        used = len(self._blocks) - (0 if self._pools else self._unused + clip_skip - 1)
        states = (self._clip.token_embedding(ids) + self._clip.positional_embedding).transpose(0, 1)
        earlier = states
        for block in self._blocks[:used]:
            earlier, states = states, block(states, attn_mask=self._clip.attn_mask)
        last = self._clip.ln_final(states.transpose(0, 1))
        if not self._pools:
            return States(last)
        ends = last[torch.arange(len(ids), device=ids.device), ids.argmax(dim=-1)]  # the end token has the highest id
        return States(earlier.transpose(0, 1), ends @ self._clip.text_projection)
