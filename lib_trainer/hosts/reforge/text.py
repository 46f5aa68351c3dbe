"""Runs reForge's text encoders on literal captions: words in, what the U-Net is told out."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from lib_trainer.hosts import clip_states
from lib_trainer.hosts.captions import caption_ids, weighed
from lib_trainer.hosts.reforge.loaded import Encoder, Loaded


def encode(
    loaded: Loaded, captions: Sequence[str], clip_skip: int, chunks: int, weighted: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Encodes captions with all encoders of the model; `weighted` ones have weights, such as `(word:1.3)`.

    Returns:
        states (B, 75 * chunks + 2, C), and the pooled vector (B, P) of the last encoder where the family has one, both
        where the encoders are.

    Raises:
        UserError: an encoder has fewer layers than clip_skip.
    """
    family = loaded.family
    layer, normed = clip_states.PENULTIMATE, False
    if family.has_clip_skip:
        there = len(loaded.encoders[0].module.transformer.text_model.encoder.layers)
        used = min(there, loaded.encoders[0].facts.layers)  # SD 2.x never uses its last layer
        layer, normed = clip_states.layer_of(clip_skip, used) - (there - used), True
    with _no_embeddings():
        found = [_states(encoder, captions, chunks, weighted, layer, normed) for encoder in loaded.encoders]
    hidden = torch.cat([states for states, _ in found], dim=-1)
    if not family.has_size_ids:
        return hidden, None
    projection = loaded.encoders[-1].module.text_projection
    pooled = found[-1][1].float()
    return hidden, pooled @ projection.to(pooled.device, torch.float32)


def _states(
    encoder: Encoder, captions: Sequence[str], chunks: int, weighted: bool, layer: int, normed: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    clip = encoder.tokenizer
    tokenize, end = partial(_tokens, clip), clip.eos_token_id
    ids = caption_ids(tokenize, captions, chunks, begin=clip.bos_token_id, end=end,
                      pad=end if encoder.facts.pad_is_eos else 0, weighted=weighted)
    states, pooled = clip_states.states(encoder.module.transformer, ids, layer, normed=normed, end=end)
    return (weighed(states, tokenize, captions) if weighted else states), pooled


def _tokens(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)) for text in texts]


@contextmanager
def _no_embeddings() -> Iterator[None]:
    """While open, no textual inversion that a broken-off generation has left waiting gets into our captions."""
    from modules.sd_hijack import model_hijack

    waiting, model_hijack.fixes = model_hijack.fixes, None
    try:
        yield
    finally:
        model_hijack.fixes = waiting
