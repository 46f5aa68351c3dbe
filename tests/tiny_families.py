"""Random-weight checkpoints of SD 2.x and SDXL of some megabytes, beside the SD 1.x one of `tiny_checkpoint`.

The topology is the real one: SD 2.x has 12 input blocks and an OpenCLIP encoder of which the last layer is not used,
SDXL 9 input blocks, transformers of two depths, size ids and two encoders. The U-Nets are the original code's own
(stable-diffusion-sdkit), so their names are what files carry, and what they predict is what ours must predict.
"""
from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from ldm.modules.attention import SpatialTransformer
from ldm.modules.diffusionmodules.openaimodel import UNetModel
from safetensors.torch import save_file
from torch import nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from tests import tiny_checkpoint
from tests.hosts.a1111 import open_clip
from tools.demo import ldm_keys

SIZE = tiny_checkpoint.SIZE
TEXT_WIDTH, TEXT_LAYERS = open_clip.WIDTH, 3
"""Width of every encoder; layers of CLIP-L and of those in use of OpenCLIP's."""
VECTOR = TEXT_WIDTH + 6 * 256
"""Numbers that SDXL's U-Net is told beside the text: pooled text and six size ids."""
HEAD_WIDTH = 16
KINDS = ("sd2", "sd2_v", "sd2_linear", "sdxl", "sdxl_v")
"""SD 2.x with convolutions for projections, predicting noise or velocity, with matrices; SDXL, and one like NoobAI."""


class DeepTransformer(SpatialTransformer):
    """Several transformer layers on the same text; the original of that time knows a text for each only."""

    def __init__(self, channels: int, head_width: int, depth: int, context: int) -> None:
        super().__init__(channels, channels // head_width, head_width, depth=depth, context_dim=[context] * depth,
                         use_linear=True)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        all_alike: torch.Tensor = super().forward(x, [context] * len(self.transformer_blocks))
        return all_alike


class SdxlUNet(UNetModel):
    """The original U-Net with what SDXL's has more: depths of its own, and a vector of size ids."""

    def __init__(
        self, channels: int = 32, widths: tuple[int, int, int] = (1, 1, 1), depths: tuple[int, int] = (1, 2),
        context: int = 2 * TEXT_WIDTH, vector: int = VECTOR, head_width: int = HEAD_WIDTH,
    ) -> None:
        super().__init__(**unet_sizes(channels, widths, [2, 4], context, head_width, linear=True))
        wide = 4 * channels
        self.num_classes = "by vector"
        self.label_emb = nn.Sequential(nn.Sequential(nn.Linear(vector, wide), nn.SiLU(), nn.Linear(wide, wide)))
        shallow = (*self.input_blocks[4:6], *self.output_blocks[3:6])
        deep = (*self.input_blocks[7:], self.middle_block, *self.output_blocks[:3])
        for blocks, width, depth in ((shallow, widths[1], depths[0]), (deep, widths[2], depths[1])):
            for block in blocks:
                block[1] = DeepTransformer(width * channels, head_width, depth, context)


def unet_sizes(
    channels: int, widths: tuple[int, ...], attention: list[int], context: int, head_width: int = HEAD_WIDTH,
    linear: bool = False,
) -> dict[str, Any]:
    """Returns the arguments of the original U-Net."""
    return {
        "image_size": SIZE // 8, "in_channels": 4, "out_channels": 4, "model_channels": channels,
        "attention_resolutions": attention, "num_res_blocks": 2, "channel_mult": widths,
        "num_head_channels": head_width, "use_spatial_transformer": True, "context_dim": context, "legacy": False,
        "use_linear_in_transformer": linear,
    }


def _randomised(network: nn.Module) -> nn.Module:
    """Gives every weight a value: the original code begins with zeros in many."""
    for weight in network.parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    return network.eval().requires_grad_(False)


@contextmanager
def original_code() -> Iterator[None]:
    """While open the original U-Net can be made; it asks omegaconf for the class of a `.yaml`'s lists, of none here."""
    module = ModuleType("omegaconf.listconfig")
    module.ListConfig = tuple  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, {"omegaconf": ModuleType("omegaconf"), "omegaconf.listconfig": module}):
        yield


@functools.cache
def networks(kind: str, seed: int = 0) -> tuple[Any, tuple[Any, ...]]:
    """Returns the original U-Net and the text encoders; the process-wide generator is left as it was."""
    with torch.random.fork_rng(devices=[]), original_code():
        torch.manual_seed(seed)
        if kind.startswith("sdxl"):
            clip = CLIPTextModel(CLIPTextConfig(
                hidden_size=TEXT_WIDTH, intermediate_size=4 * TEXT_WIDTH, num_hidden_layers=TEXT_LAYERS,
                num_attention_heads=1, projection_dim=TEXT_WIDTH, vocab_size=49408, hidden_act="quick_gelu"))
            nn.init.normal_(clip.text_model.embeddings.token_embedding.weight, std=0.5)
            big = open_clip.TextModel(heads=1, layers=TEXT_LAYERS + 1)
            return _randomised(SdxlUNet()), (clip.eval(), big.eval())
        sizes = unet_sizes(64, (1, 1, 1, 1), [4, 2, 1], TEXT_WIDTH, linear=kind == "sd2_linear")
        text = open_clip.TextModel(heads=1, layers=TEXT_LAYERS + 1)
        nn.init.constant_(text.ln_final.bias, 0.1)
        return _randomised(UNetModel(**sizes)), (text.eval(),)


def tensors(kind: str, seed: int = 0, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """Returns the checkpoint's tensors under their original names, in a dict of the caller's own."""
    return dict(_tensors(kind, seed, dtype))


@functools.cache
def _tensors(kind: str, seed: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    unet, texts = networks(kind, seed)
    state = {f"model.diffusion_model.{name}": value for name, value in unet.state_dict().items()}
    for name, value in tiny_checkpoint.networks(seed)[1].state_dict().items():
        value = value[:, :, None, None] if ldm_keys.is_vae_attention_matrix(name) else value
        state[f"first_stage_model.{ldm_keys.vae_key(name)}"] = value
    places = ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model.")
    for place, text in zip(places if len(texts) > 1 else ("cond_stage_model.model.",), texts, strict=True):
        state |= {place + name: value for name, value in text.state_dict().items()}
    stored = {name: value.to(dtype).contiguous() for name, value in state.items()}
    marks = {"sd2_v": ("v_pred",), "sdxl_v": ("v_pred", "ztsnr")}.get(kind, ())
    return stored | {name: torch.zeros(0) for name in marks}


def config(kind: str) -> dict[str, object]:
    """Returns the content of the `.yaml`: what shapes cannot tell."""
    is_sdxl = kind.startswith("sdxl")
    return {"model": {"params": {
        "image_size": SIZE // 8,
        "scale_factor": 0.13025 if is_sdxl else 0.18215,
        "network_config" if is_sdxl else "unet_config": {"params": {"num_head_channels": HEAD_WIDTH}},
    }}}


def write(folder: Path, kind: str, name: str = "", seed: int = 0, dtype: torch.dtype = torch.float16) -> Path:
    """Writes a checkpoint with its `.yaml` into a folder; returns the checkpoint's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"{kind}.safetensors")
    path.with_suffix(".yaml").write_text(json.dumps(config(kind)), encoding="utf8")  # JSON is YAML
    if path.suffix == ".safetensors":
        save_file(tensors(kind, seed, dtype), path)
    else:
        torch.save({"state_dict": tensors(kind, seed, dtype)}, path)
    return path
