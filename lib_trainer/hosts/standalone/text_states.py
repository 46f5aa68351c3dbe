"""Runs the CLIP text encoder: ids in, the states that the U-Net attends to out.

Clip skip counts layers from the end: 1 is the last, 2 the one before. Every choice goes through the final LayerNorm,
as the U-Net was trained on normalised states.
"""
from __future__ import annotations

import torch
from transformers.models.clip.modeling_clip import CLIPTextModel

from lib_trainer.errors import UserError


def encode_ids(encoder: CLIPTextModel, ids: torch.Tensor, clip_skip: int) -> torch.Tensor:
    """Returns states (N, 77, C) in the encoder's dtype.

    Args:
        ids: (N, 77) int64 on any device.
        clip_skip: layer counted from the end, from 1.

    Raises:
        UserError: the encoder has fewer layers than clip_skip.
    """
    layers: int = encoder.config.num_hidden_layers
    if not 1 <= clip_skip <= layers:
        raise UserError(f"Clip skip must be 1 to {layers} for this checkpoint's text encoder, got {clip_skip}.")
    ids = ids.to(encoder.device)
    if clip_skip == 1:
        return encoder(ids).last_hidden_state
    states = encoder(ids, output_hidden_states=True).hidden_states[-clip_skip]
    return encoder.text_model.final_layer_norm(states)


def encode_captions(encoder: CLIPTextModel, ids: torch.Tensor, clip_skip: int) -> torch.Tensor:
    """Encodes the chunks of captions and joins them as sd-scripts does.

    Args:
        ids: (B, chunks, 77) int64.

    Returns:
        (B, 75 * chunks + 2, C): the first chunk's begin state, every chunk's 75 middle states, the last chunk's end.
    """
    batch, chunks, length = ids.shape
    states = encode_ids(encoder, ids.reshape(batch * chunks, length), clip_skip).reshape(batch, chunks, length, -1)
    middle = states[:, :, 1:-1].flatten(1, 2)
    return torch.cat([states[:, 0, :1], middle, states[:, -1, -1:]], dim=1)
