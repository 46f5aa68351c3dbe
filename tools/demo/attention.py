"""Attention in single precision inside a bfloat16 pass.

torch's fused attention has a very slow backward pass for bfloat16 on processors (half of a whole training step); in
single precision it is fast, and the projections around it stay in bfloat16.
"""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from torch.nn import functional


class SinglePrecisionAttention:
    """An attention processor for the U-Net's plain attention layers."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        **_: object,
    ) -> torch.Tensor:
        """Attend from (B, N, C) to itself or to (B, T, context)."""
        batch, places, width = hidden_states.shape
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        parts = (attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source))
        query, key, value = (p.unflatten(-1, (attn.heads, -1)).transpose(1, 2).float() for p in parts)
        with torch.autocast("cpu", enabled=False):
            mixed = functional.scaled_dot_product_attention(query, key, value)
        return attn.to_out[0](mixed.transpose(1, 2).reshape(batch, places, width).to(parts[0].dtype))
