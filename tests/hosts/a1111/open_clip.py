"""open_clip's text transformer in small, built of the same parts: fused attention, states of every block, pooling."""
from __future__ import annotations

import torch
from torch import nn

WIDTH, HEADS, LAYERS, VOCABULARY = 32, 4, 4, 49408


class ResidualAttentionBlock(nn.Module):
    """One layer; it is given (77, B, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", nn.GELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor) -> torch.Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=attn_mask)[0]
        return x + self.mlp(self.ln_2(x))


class TextModel(nn.Module):
    """open_clip's model without its eyes."""

    def __init__(self, heads: int = HEADS, layers: int = LAYERS, width: int = WIDTH) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(VOCABULARY, width)
        self.positional_embedding = nn.Parameter(torch.randn(77, width) * 0.1)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(ResidualAttentionBlock(width, heads) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, width) * 0.2)
        self.register_buffer("attn_mask", torch.full((77, 77), float("-inf")).triu(1), persistent=False)

    def after(self, ids: torch.Tensor, count: int) -> torch.Tensor:
        """Returns the states (B, 77, C) that come out of the first blocks, for ids (B, 77)."""
        states = (self.token_embedding(ids) + self.positional_embedding).permute(1, 0, 2)
        for block in list(self.transformer.resblocks)[:count]:  # type: ignore[arg-type]
            states = block(states, attn_mask=self.attn_mask)
        return states.permute(1, 0, 2)


class Frozen(nn.Module):
    """The encoder as the original code has it: the states of the last layer but one."""

    layer_idx = 1

    def __init__(self) -> None:
        super().__init__()
        self.model = TextModel()


class Embedder(nn.Module):
    """The WebUI's wrapper, as far as token ids are concerned: words are numbers here."""

    id_start, id_end, id_pad = 49406, 49407, 0

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.wrapped = Frozen().eval().requires_grad_(False)

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        return [[int(word) for word in text.split()] for text in texts]
