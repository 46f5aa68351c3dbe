"""Strengths that compare by the block weights behind them, and names of parameters."""
from __future__ import annotations

import pytest

from lib_trainer.blocks.layers import block_of
from lib_trainer.hosts.webui.layer_keys import layer_of
from lib_trainer.hosts.webui.strength import Strength


def test_a_strength_is_a_number_that_remembers() -> None:
    assert Strength(0.8, "a") * 2 == 1.6
    assert Strength(0.8, "a") == Strength(0.8, "a")
    assert len({Strength(0.8, "a"), Strength(0.8, "a"), Strength(0.8, "b"), 0.8}) == 3


@pytest.mark.parametrize("other", [Strength(0.8, "b"), Strength(0.7, "a"), 0.8, "0.8", None])
def test_hosts_see_a_change(other: object) -> None:
    mine = Strength(0.8, "a")
    assert mine != other and other != mine
    assert ("name", mine, 1.0) != ("name", other, 1.0)
    assert ("name", other, 1.0) != ("name", mine, 1.0)
    assert str(["file", mine]) != str(["file", other])


@pytest.mark.parametrize(("key", "block"), [
    ("diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", "IN04"),
    ("diffusion_model.output_blocks.11.0.in_layers.0.bias", "OUT11"),
    ("diffusion_model.middle_block.1.proj_in.weight", "M00"),
    ("diffusion_model.out.2.weight", None),
    ("diffusion_model.time_embed.0.weight", None),
    ("clip_l.transformer.text_model.encoder.layers.3.mlp.fc1.weight", "BASE"),
    ("clip_g.transformer.text_model.encoder.layers.3.self_attn.q_proj.bias", "BASE"),
    ("clip_l.transformer.text_model.embeddings.token_embedding.weight", None),
    ("clip_g.transformer.text_projection.weight", None),
])
def test_parameters_of_a_host_lie_in_their_blocks(key: str, block: str | None) -> None:
    assert block_of(layer_of(key), "sd15") == block
