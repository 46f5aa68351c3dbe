"""Runs a CLIP text encoder that transformers built on rows of token ids: states and pooled vector, nothing else.

The hosts' own calls read emphasis and embeddings; here the network itself is called, so gradients flow and every row
means what it says.
"""
from __future__ import annotations

from typing import Any

import torch

from lib_trainer.errors import UserError
from lib_trainer.hosts.captions import join_chunks

PENULTIMATE = -2
"""The layer of both of SDXL's encoders, and the last one that SD 2.x uses, counted from the end."""


def states(
    network: Any, ids: torch.Tensor, layer: int, *, normed: bool, end: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encodes captions.

    Args:
        network: transformers' CLIPTextModel, with or without projection.
        ids: (B, chunks, 77) int64, see `captions`.
        layer: whose states, counted from the end: -1 = the last.
        normed: whether they go through the final LayerNorm.
        end: id of the end token.

    Returns:
        states (B, 75 * chunks + 2, C), and the last layer's normalised states (B, C) at the first piece's end token.
    """
    chosen, pooled = rows(network, ids.flatten(0, 1), layer, normed=normed, end=end)
    return join_chunks(chosen.unflatten(0, ids.shape[:2])), pooled[::ids.shape[1]]


def rows(network: Any, ids: torch.Tensor, layer: int, *, normed: bool, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Encodes rows of ids, each for itself.

    Args:
        ids: (N, 77) int64 on any device; the rest as in `states`.

    Returns:
        states (N, 77, C), and the last layer's normalised states (N, C) at every row's first end token. It is looked
        up here because transformers looks for the greatest id, which need not be the end token.
    """
    ids = ids.to(network.text_model.final_layer_norm.weight.device)
    output = network(input_ids=ids, output_hidden_states=True)
    last = output.last_hidden_state
    chosen = output.hidden_states[layer]
    if normed:
        chosen = last if layer == -1 else network.text_model.final_layer_norm(chosen)
    places = (ids == end).int().argmax(dim=-1)
    return chosen, last[torch.arange(len(last), device=last.device), places]


def layer_of(clip_skip: int, layers: int) -> int:
    """Returns the layer of a clip skip, counted from the end of the layers in use.

    Raises:
        UserError: there are fewer layers.
    """
    if not 1 <= clip_skip <= layers:
        raise UserError(f"Clip skip must be 1 to {layers} for this checkpoint's text encoder, got {clip_skip}.")
    return -clip_skip
