"""Which layers are adapted: LyCORIS' presets, ranks and rates by block, nothing remembered between two networks."""
from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from lib_trainer.blocks.per_block import read
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sdxl import SDXL
from lib_trainer.lora import network as networks
from lib_trainer.lora.choice import NetworkSpec, Ranks, choose
from lib_trainer.lora.network import part_of
from tests.lora import models

PLAIN = NetworkSpec(8, 4.0)
CONV = NetworkSpec(8, 4.0, 4, 2.0)


def names(spec: NetworkSpec) -> list[str]:
    return [choice.target.name for choice in choose(models.true_size_sd15(), spec, SD1)]


@pytest.mark.parametrize(
    ("layers", "unet", "text"),
    [("attn-mlp", 192, 72), ("attn-only", 128, 48), ("full", 282, 72), ("full-lin", 230, 72),
     ("convolutions", 88, 72), ("ia3", 80, 36)],
)
def test_sets_of_layers(layers: str, unet: int, text: int) -> None:
    """The counts of the true SD 1.5; full with 72 of the text encoder is LyCORIS' 354."""
    spec = replace(CONV, layers=layers)
    if layers in ("attn-mlp", "attn-only", "ia3", "full-lin"):
        spec = replace(spec, conv_rank=0)
    found = Counter(map(part_of, names(spec)))
    assert found == {"unet": unet, "text_encoder": text}
    assert set(map(part_of, names(replace(spec, text_encoder=False)))) == {"unet"}
    assert set(map(part_of, names(replace(spec, unet=False)))) == {"text_encoder"}


def test_ia3_scales_the_inputs_of_the_second_feed_forward() -> None:
    spec = replace(PLAIN, layers="ia3", algorithm="ia3")
    chosen = choose(models.true_size_sd15(), spec, SD1)
    on_input = {choice.target.name.rpartition("_transformer_blocks_0_")[2] for choice in chosen
                if choice.on_input and part_of(choice.target.name) == "unet"}
    assert on_input == {"ff_net_2"}
    assert sum(choice.on_input for choice in chosen) == 16 + 12


@pytest.mark.parametrize(
    ("layers", "count"), [("attn-mlp", 64), ("full", 108), ("full-lin", 108), ("convolutions", 44)])
def test_norms_of_the_chosen_blocks(layers: str, count: int) -> None:
    spec = replace(CONV if layers in ("full", "convolutions") else PLAIN, layers=layers, norms=True)
    chosen = choose(models.true_size_sd15(), spec, SD1)
    assert sum(choice.algorithm == "norm" for choice in chosen) == count


@pytest.mark.parametrize("algorithm", ["full", "ia3"])
def test_kinds_without_a_rank_need_no_conv_rank(algorithm: str) -> None:
    assert len(names(replace(PLAIN, layers="full", algorithm=algorithm))) == 354


def test_ranks_and_alphas_by_block() -> None:
    """block_dims with 0 = skip, of all orders; the text encoder keeps its rank in sd-scripts' one."""
    rank = read("0,4,0,0,8" + ",16" * 20, "sd15", 32.0)
    alpha = read("IN01:1, IN04:2", "sd15", 3.0)
    conv = read("IN01:5, OUT00-OUT11:0", "sd15", 2.0)
    spec = replace(CONV, per_block=Ranks(rank=rank, alpha=alpha, conv_rank=conv))
    found = {choice.target.name: (choice.rank, choice.alpha) for choice in choose(models.true_size_sd15(), spec, SD1)}
    assert found["lora_unet_down_blocks_0_attentions_0_proj_in"] == (4, 1.0)
    assert "lora_unet_down_blocks_0_attentions_1_proj_in" not in found
    assert found["lora_unet_down_blocks_1_attentions_0_proj_in"] == (8, 2.0)
    assert found["lora_unet_mid_block_attentions_0_proj_in"] == (16, 3.0)
    assert found["lora_te_text_model_encoder_layers_0_mlp_fc1"] == (32, 3.0)
    assert found["lora_unet_down_blocks_0_resnets_0_conv1"] == (5, 2.0)
    assert found["lora_unet_down_blocks_0_resnets_1_conv1"] == (2, 2.0)
    assert "lora_unet_up_blocks_1_resnets_0_conv1" not in found
    assert found["lora_unet_up_blocks_1_resnets_0_time_emb_proj"] == (16, 3.0)


def test_blocks_at_rate_0_have_no_layers_and_others_their_factor() -> None:
    spec = replace(PLAIN, rates=read("down: zeros; mid: 0.5; up: 2", "sd15", 1.0))
    network = networks.create(models.true_size_sd15(), spec, SD1, seed=1)
    assert not any("_down_blocks_" in name for name in network.layers)
    assert network.block_rate("lora_unet_mid_block_attentions_0_proj_in") == 0.5
    assert network.block_rate("lora_unet_up_blocks_1_attentions_0_proj_in") == 2.0
    assert network.block_rate("lora_te_text_model_encoder_layers_0_mlp_fc1") == 1.0


def test_a_network_remembers_nothing_of_the_one_before() -> None:
    """Bug 1 of the reference trainer is not copied: after one with convolutions a plain network had 36 layers more."""
    assert [len(names(spec)) for spec in (PLAIN, CONV, replace(CONV, layers="full"), PLAIN)] == [264, 350, 354, 264]


def test_the_second_text_encoder_is_a_part_of_its_own() -> None:
    assert [part_of(f"lora_{prefix}_text_model_x") for prefix in ("te", "te1", "te2")] == [
        "text_encoder", "text_encoder", "text_encoder_2"]
    assert part_of("lora_unet_input_blocks_1_0") == "unet"


def test_norms_of_sdxl_have_the_names_of_the_original() -> None:
    from torch import nn

    from lib_trainer.host_model import Target

    wanted = ["lora_unet_input_blocks_4_1_norm", "lora_unet_middle_block_1_transformer_blocks_3_norm2",
              "lora_unet_output_blocks_0_0_in_layers_0", "lora_unet_middle_block_2_out_layers_0"]
    others = ["lora_unet_out_0", "lora_te1_text_model_final_layer_norm"]
    targets = [Target(name, nn.GroupNorm(2, 8)) for name in (*wanted, *others)]
    spec = replace(CONV, layers="full", norms=True)
    assert [choice.target.name for choice in choose(targets, spec, SDXL)] == wanted
