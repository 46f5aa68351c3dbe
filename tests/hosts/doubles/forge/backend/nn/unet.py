"""Double of Forge's U-Net: module names of the original checkpoints, SD 1.x, and sums in place that autograd dislikes.

Written from the layout that the names tell (12 input blocks, middle, 12 output blocks), for any width.
"""
from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class TimestepBlock(nn.Module):
    pass


class TimestepEmbedSequential(nn.Sequential, TimestepBlock):
    def forward(
        self, x: torch.Tensor, emb: torch.Tensor, context: Any = None, transformer_options: Any = {},
        output_shape: Any = None,
    ) -> torch.Tensor:
        for layer in self:
            if isinstance(layer, TimestepBlock):
                x = layer(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context, transformer_options)
            else:
                x = layer(x)
        return x


class GEGLU(nn.Module):
    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim_in, dim_out * 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(dim, 4 * dim), nn.Dropout(0.0), nn.Linear(4 * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class CrossAttention(nn.Module):
    def __init__(self, query_dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(query_dim, query_dim, bias=False)
        self.to_k = nn.Linear(context_dim, query_dim, bias=False)
        self.to_v = nn.Linear(context_dim, query_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(query_dim, query_dim), nn.Dropout(0.0))

    def forward(
        self, x: torch.Tensor, context: torch.Tensor | None = None, value: Any = None, mask: Any = None,
        transformer_options: Any = {},
    ) -> torch.Tensor:
        source = x if context is None else context
        parts = (projection.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                 for projection in (self.to_q(x), self.to_k(source), self.to_v(source)))
        return self.to_out(F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))


class BasicTransformerBlock(nn.Module):
    def __init__(self, dim: int, n_heads: int, context_dim: int) -> None:
        super().__init__()
        self.disable_self_attn = False
        self.attn1, self.attn2 = CrossAttention(dim, dim, n_heads), CrossAttention(dim, context_dim, n_heads)
        self.ff = FeedForward(dim)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor, context: Any = None, transformer_options: Any = {}) -> torch.Tensor:
        x += self.attn1(self.norm1(x))
        x += self.attn2(self.norm2(x), context=context)
        skip, x = x, self.ff(self.norm3(x))
        x += skip
        return x


class SpatialTransformer(nn.Module):
    def __init__(self, in_channels: int, n_heads: int, context_dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, in_channels, eps=1e-6)
        self.proj_in = nn.Conv2d(in_channels, in_channels, kernel_size=1)
        self.transformer_blocks = nn.ModuleList([BasicTransformerBlock(in_channels, n_heads, context_dim)])
        self.proj_out = nn.Conv2d(in_channels, in_channels, kernel_size=1)

    def forward(self, x: torch.Tensor, context: Any = None, transformer_options: Any = {}) -> torch.Tensor:
        size = x.shape[2:]
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2).contiguous()
        for block in self.transformer_blocks:
            tokens = block(tokens, context=context, transformer_options=transformer_options)
        return self.proj_out(tokens.transpose(1, 2).unflatten(2, size).contiguous()) + x


class Upsample(nn.Module):
    def __init__(self, channels: int, use_conv: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor, output_shape: Any = None) -> torch.Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Downsample(nn.Module):
    def __init__(self, channels: int, use_conv: bool) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.op(x)


class ResBlock(TimestepBlock):
    def __init__(self, channels: int, emb_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_channels, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, out_channels), nn.SiLU(), nn.Dropout(0.0),
            nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.skip_connection = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: torch.Tensor, emb: torch.Tensor, transformer_options: Any = {}) -> torch.Tensor:
        inner = self.in_layers(x) + self.emb_layers(emb)[..., None, None]
        return self.skip_connection(x) + self.out_layers(inner)


class IntegratedUNet2DConditionModel(nn.Module):
    """Four levels of one width, two residual blocks each (three on the way up), attention on the upper three."""

    def __init__(self, in_channels: int, model_channels: int, out_channels: int, heads: int, context_dim: int) -> None:
        super().__init__()
        width, emb = model_channels, 4 * model_channels

        def block(channels: int, is_deepest: bool, *more: nn.Module) -> TimestepEmbedSequential:
            attention = [] if is_deepest else [SpatialTransformer(width, heads, context_dim)]
            return TimestepEmbedSequential(ResBlock(channels, emb, width), *attention, *more)

        self.in_channels, self.model_channels, self.num_classes = in_channels, model_channels, None
        self.time_embed = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.input_blocks = nn.ModuleList([TimestepEmbedSequential(nn.Conv2d(in_channels, width, 3, padding=1))])
        for level in range(4):
            self.input_blocks.extend(block(width, level == 3) for _ in range(2))
            if level < 3:
                self.input_blocks.append(TimestepEmbedSequential(Downsample(width, True)))
        self.middle_block = TimestepEmbedSequential(
            ResBlock(width, emb, width), SpatialTransformer(width, heads, context_dim), ResBlock(width, emb, width))
        self.output_blocks = nn.ModuleList(
            block(2 * width, level == 3, *([Upsample(width, True)] if level and index == 2 else []))
            for level in (3, 2, 1, 0) for index in range(3))
        self.out = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), nn.Conv2d(width, out_channels, 3, padding=1))

    def forward(
        self, x: torch.Tensor, timesteps: Any = None, context: Any = None, y: Any = None, control: Any = None,
        transformer_options: Any = {}, **kwargs: Any,
    ) -> torch.Tensor:
        """Writes into `transformer_options`, whose default is one dictionary for all calls."""
        assert y is None and timesteps.is_floating_point()
        assert "original_shape" not in transformer_options, "another call's dictionary"
        transformer_options["original_shape"] = list(x.shape)
        emb = self.time_embed(_waves(timesteps, self.model_channels).to(x.dtype))
        skips = []
        for module in self.input_blocks:
            x = module(x, emb, context, transformer_options)
            skips.append(x)
        x = self.middle_block(x, emb, context, transformer_options)
        for module in self.output_blocks:
            x = module(torch.cat([x, skips.pop()], dim=1), emb, context, transformer_options)
        return self.out(x)


def _waves(timesteps: torch.Tensor, width: int) -> torch.Tensor:
    places = torch.arange(width // 2, dtype=torch.float32)
    angles = timesteps[:, None] * torch.exp(-math.log(10000) * places / (width // 2))
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
