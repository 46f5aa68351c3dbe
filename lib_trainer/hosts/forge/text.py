"""Runs Forge's text encoders on literal captions: ids in, what the U-Net is told out.

Forge's own path reads emphasis, BREAK and embeddings and runs in inference mode; here the encoders themselves are
called. Which layer's states count is the family's business: SD 1.x and 2.x take the last one (or an earlier one, by
clip skip) through the final LayerNorm, SDXL takes the last but one of both encoders as it is.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from lib_trainer.hosts import clip_states
from lib_trainer.hosts.captions import caption_ids, weighed
from lib_trainer.hosts.forge.loaded import Encoder, Loaded


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
    layer = clip_states.PENULTIMATE
    if family.has_clip_skip:
        layer = clip_states.layer_of(clip_skip, len(_network(loaded.encoders[0]).text_model.encoder.layers))
    found = [_states(encoder, captions, chunks, weighted, layer, family.has_clip_skip) for encoder in loaded.encoders]
    hidden = torch.cat([states for states, _ in found], dim=-1)
    if not family.has_size_ids:
        return hidden, None
    return hidden, _network(loaded.encoders[-1]).text_projection(found[-1][1])


def _network(encoder: Encoder) -> Any:
    """Returns transformers' CLIP model inside Forge's."""
    return encoder.module.transformer


def _states(
    encoder: Encoder, captions: Sequence[str], chunks: int, weighted: bool, layer: int, normed: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    clip, network = encoder.tokenizer, _network(encoder)
    tokenize, end = partial(_tokens, clip), clip.eos_token_id
    ids = caption_ids(tokenize, captions, chunks, begin=clip.bos_token_id, end=end,
                      pad=end if encoder.facts.pad_is_eos else 0, weighted=weighted)
    with _float_embeddings(network.text_model.embeddings):
        states, pooled = clip_states.states(network, ids, layer, normed=normed, end=end)
    return (weighed(states, tokenize, captions) if weighted else states), pooled


def _tokens(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), truncation=False, add_special_tokens=False)["input_ids"]


@contextmanager
def _float_embeddings(embeddings: Any) -> Iterator[None]:
    """Gives the encoder float32 embeddings while open, as Forge does: its layers cast their weights to their input.

    Forge converts the two tables for good when it first draws; here only what is looked up is converted, so that the
    tables stay as they are found.
    """
    handles = [table.register_forward_hook(lambda module, args, output: output.float())
               for table in (embeddings.token_embedding, embeddings.position_embedding)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
