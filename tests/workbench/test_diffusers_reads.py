"""What diffusers makes of a converted file is what our hooks do with the file before: in its own reader's words.

diffusers' reader needs PEFT only to hang the factors on; names, ranks and strengths come from functions of its own,
which are asked here. What they give is added to the weights of a tiny model of the true topology.
"""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.lora_pipeline import StableDiffusionLoraLoaderMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.utils.peft_utils import get_peft_kwargs
from diffusers.utils.state_dict_utils import (
    convert_state_dict_to_diffusers,
    convert_state_dict_to_kohya,
    convert_state_dict_to_peft,
    convert_unet_state_dict_to_peft,
)
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from lib_trainer.hosts.standalone import layers as host_layers
from lib_trainer.lora import loaded
from lib_trainer.workbench import convert, names, reading
from lib_trainer.workbench.convert import ConvertOrder
from lib_trainer.workbench.operation import finish
from tests.workbench import stored

WIDTH = 32
_UNETS: dict[str, dict[str, Any]] = {
    "sd1": {"block_out_channels": (WIDTH,) * 4},
    "sd2": {"block_out_channels": (WIDTH,) * 4, "use_linear_projection": True},
    "sdxl": {"block_out_channels": (WIDTH,) * 3, "use_linear_projection": True,
             "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
             "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
             "transformer_layers_per_block": (1, 1, 2)},
}
_ENCODERS = {"sd1": {"lora_te": "text_encoder"}, "sd2": {"lora_te": "text_encoder"},
             "sdxl": {"lora_te1": "text_encoder", "lora_te2": "text_encoder_2"}}


class Model:
    """A tiny U-Net with its text encoders, by diffusers' names of the networks."""

    def __init__(self, family: str) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.networks: dict[str, nn.Module] = {"unet": UNet2DConditionModel(
                sample_size=16, cross_attention_dim=WIDTH, attention_head_dim=4, **_UNETS[family]).eval()}
            for network in _ENCODERS[family].values():
                self.networks[network] = CLIPTextModel(CLIPTextConfig(
                    hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2, num_attention_heads=2,
                    vocab_size=100)).eval()
        encoders = [(prefix, self.networks[network]) for prefix, network in _ENCODERS[family].items()]
        self.targets = host_layers.targets(self.networks["unet"], encoders, names.FAMILIES[family])

    @torch.no_grad()
    def outputs(self) -> list[Tensor]:
        """Returns what every network gives for something."""
        generator = torch.Generator().manual_seed(1)
        picture = torch.randn(1, 4, 16, 16, generator=generator)
        unet = self.networks["unet"](picture, 10, torch.randn(1, 5, WIDTH, generator=generator)).sample
        texts = [network(torch.tensor([[1, 5, 99]])).last_hidden_state
                 for name, network in self.networks.items() if name != "unet"]
        return [unet, *texts]


def drawn(model: Model) -> dict[str, Tensor]:
    """Returns a LoRA on every layer, of another rank and strength in the kernels."""
    generator, found = torch.Generator().manual_seed(2), {}
    for target in model.targets:
        weight: Any = target.module.weight
        is_kernel = weight.dim() == 4 and weight.shape[2] > 1
        rank, ones = (2 if is_kernel else 3), [1] * (weight.dim() - 2)
        found[f"{target.name}.lora_down.weight"] = torch.randn(rank, *weight.shape[1:], generator=generator).half() / 4
        found[f"{target.name}.lora_up.weight"] = torch.randn(weight.shape[0], rank, *ones, generator=generator) / 4
        found[f"{target.name}.alpha"] = torch.tensor(0.75 if is_kernel else 2.0)
    return found


def read_by_diffusers(path: Path, networks: dict[str, nn.Module]) -> None:
    """Adds a file to the networks' weights as diffusers and PEFT would: their names, their ranks, their strengths."""
    state, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(
        str(path.parent), weight_name=path.name, unet_config=networks["unet"].config)
    assert all("lora" in name for name in state)  # what `load_lora_weights` asks of a file
    for name, network in networks.items():
        own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        scales = {key.removeprefix(f"{name}."): value for key, value in (alphas or {}).items()
                  if key.startswith(f"{name}.")}
        if name == "unet":
            own, scales = convert_unet_state_dict_to_peft(own), convert_unet_state_dict_to_peft(scales)
        else:
            own = convert_state_dict_to_peft(convert_state_dict_to_diffusers(own))
        _add(network, own, scales, is_unet=name == "unet")


def _add(network: nn.Module, state: dict[str, Tensor], alphas: dict[str, float], is_unet: bool) -> None:
    ranks = {key: value.shape[1] for key, value in state.items() if "lora_B" in key}
    said = get_peft_kwargs(ranks, alphas, state, is_unet=is_unet)
    for key in ranks:
        path = key.removesuffix(".lora_B.weight")
        up, down = state[key].double(), state[f"{path}.lora_A.weight"].double()
        scale = said["alpha_pattern"].get(path, said["lora_alpha"]) / said["rank_pattern"].get(path, said["r"])
        weight: Any = network.get_submodule(path).weight
        with torch.no_grad():
            weight += (scale * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)).float()


@pytest.mark.parametrize(("family", "naming"), [
    ("sd1", names.KOHYA), ("sd1", names.PEFT), ("sd2", names.DIFFUSERS), ("sdxl", names.KOHYA),
    ("sdxl", names.KOHYA_DIFFUSERS), ("sdxl", names.PEFT),
])
def test_diffusers_does_with_the_converted_file_what_we_do_with_the_first(
    tmp_path: Path, family: str, naming: str
) -> None:
    model = Model(family)
    tensors, plain = drawn(model), model.outputs()
    source, out = stored.write(tmp_path / "a.safetensors", tensors, family), tmp_path / "b.safetensors"
    finish(convert.run(ConvertOrder(source, out, naming)))
    network, unmatched = loaded.from_state(model.targets, tensors)
    assert not unmatched
    with network.attached(model.targets):
        ours = model.outputs()
    theirs = copy.copy(model)
    theirs.networks = copy.deepcopy(model.networks)
    read_by_diffusers(out, theirs.networks)
    for before, mine, other in zip(plain, ours, theirs.outputs(), strict=True):
        effect = float((mine - before).norm())
        # float32 through some hundred layers; a wrong strength or layer is of the effect's own size
        assert effect > 0.01 * float(before.norm()) and float((mine - other).norm()) < 1e-4 * effect


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_what_diffusers_writes_in_kohyas_names_is_read_as_what_it_is(tmp_path: Path, family: str) -> None:
    chosen = {name: shapes for name, shapes in stored.layers(family, whole=False).items() if "proj" not in name}
    tensors = stored.lora(chosen, alpha=None)
    peft = stored.respelled(tensors, family, names.PEFT)
    kohya = convert_state_dict_to_kohya(dict(peft))
    if family == "sdxl":  # SD 1.x: nothing tells, as its encoder is called te1 there as well
        assert reading.read(_saved(tmp_path / "x.safetensors", kohya)).family == "sdxl"
    read = reading.read(_saved(tmp_path / "y.safetensors", kohya), family)
    factors = {name: tensor for name, tensor in read.tensors.items() if not name.endswith(".alpha")}
    assert stored.same(factors, tensors) and len(read.tensors) == 3 * len(chosen) and not read.carried


def _saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    return stored.write(path, {name: tensor.contiguous() for name, tensor in tensors.items()}, "")
