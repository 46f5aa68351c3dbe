"""True-size SD 2.x and SDXL on the meta device: the sizes are read right, and a LoRA's tensors are sd-scripts'."""
from __future__ import annotations

from typing import Any

import pytest
import torch

from lib_trainer.families.family import Family
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.hosts.standalone import layers, loader, text_parts
from lib_trainer.lora.network import NetworkSpec, create
from tests import tiny_families
from tests.families import layer_tables
from tests.hosts.a1111 import open_clip

Tensors = dict[str, torch.Tensor]


def unet_tensors(made: torch.nn.Module) -> Tensors:
    return {f"model.diffusion_model.{name}": value for name, value in made.state_dict().items()}


def clip_l() -> Tensors:
    """CLIP-L as transformers names it."""
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)).state_dict()


def checkpoint(family: Family, linear: bool) -> Tensors:
    """Returns a true-size checkpoint's tensors without numbers, by the original code's names."""
    with torch.device("meta"), tiny_families.original_code():
        if family is SDXL:
            unet: Any = tiny_families.SdxlUNet(320, (1, 2, 4), (2, 10), 2048, 2816, 64)
            texts = {"conditioner.embedders.0.transformer.": clip_l(),
                     "conditioner.embedders.1.model.": open_clip.TextModel(20, 32, 1280).state_dict()}
        else:
            sizes = tiny_families.unet_sizes(320, (1, 2, 4, 4), [4, 2, 1], 1024, 64, linear)
            unet = tiny_families.UNetModel(**sizes)
            texts = {"cond_stage_model.model.": open_clip.TextModel(16, 24, 1024).state_dict()}
    return unet_tensors(unet) | {prefix + name: value for prefix, own in texts.items() for name, value in own.items()}


def networks(tensors: Tensors, family: Family) -> tuple[Any, list[Any]]:
    """Returns U-Net and text encoders as the loader makes them; every tensor of theirs is there and fits."""
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    unet, own = loader._unet(tensors, shapes, {}, family)
    assert {name: value.shape for name, value in own.items()} == {
        name: value.shape for name, value in unet.state_dict().items()}
    encoders = []
    for source in text_parts.of(family):
        text, own = loader._text(source, tensors, {}, loader.Path("none"))
        assert {name: value.shape for name, value in own.items()} == {
            name: value.shape for name, value in text.state_dict().items()}
        encoders.append(text)
    return unet, encoders


def expected(family: Family, linear: bool, conv: bool) -> dict[str, list[int]]:
    """Returns the shapes of all tensors of a file of sd-scripts."""
    table = layer_tables.read(family.name, "lierla")
    if conv:
        table |= layer_tables.read(family.name, "c3lier_adds")
    if linear and family is SD2:
        table |= layer_tables.read(family.name, "linear_projections")
    found: dict[str, list[int]] = {}
    for name, (down, up) in table.items():
        found |= {f"{name}.alpha": [], f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    return found


@pytest.mark.parametrize(("family", "linear"), [(SD2, False), (SD2, True), (SDXL, True)],
                         ids=["sd2", "sd2_linear", "sdxl"])
def test_a_lora_has_the_tensors_of_sd_scripts(family: Family, linear: bool) -> None:
    unet, encoders = networks(checkpoint(family, linear), family)
    heads = (5, 10, 20) if family is SDXL else (5, 10, 20, 20)
    assert unet.config["attention_head_dim"] == heads
    assert [text.config.num_attention_heads for text in encoders] == ([12, 20] if family is SDXL else [16])
    assert [text.config.hidden_act for text in encoders][-1] == "gelu"
    # what the published models have
    assert sum(weight.numel() for weight in unet.parameters()) == (2_567_463_684 if family is SDXL else 865_910_724)
    named = [(facts.prefix, text) for facts, text in zip(family.text_encoders, encoders, strict=True)]
    targets = layers.targets(unet, named, family)
    for conv_rank in (0, 4):
        made = create(targets, NetworkSpec(rank=8, alpha=8.0, conv_rank=conv_rank), family, seed=0)
        state = made.state_dict(torch.float16)
        assert {name: list(value.shape) for name, value in state.items()} == expected(family, linear, bool(conv_rank))
