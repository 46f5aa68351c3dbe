"""A random-weight SD 1.x checkpoint of some megabytes, in the original LDM layout, for tests that need a host.

The topology is the real one (12 input, middle, 12 output blocks); only the widths are small. LDM names come from the
demo checkpoint's exporter, so loading one is a round trip through two independent name tables.
"""
from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tools.demo import ldm_keys

# 64 channels: 32 groups of one channel cannot normalise the single pixel that 64 px leave at the bottom
TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS = 32, 4, 3
UNET_WIDTHS, UNET_HEADS = (64, 64, 64, 64), 4
SIZE = 64
"""Native picture size in pixels."""


def networks(seed: int = 0) -> tuple[Any, Any, Any]:
    """Returns a random U-Net, VAE and text encoder; the process-wide generator is left as it was."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=SIZE // 8, block_out_channels=UNET_WIDTHS, cross_attention_dim=TEXT_WIDTH,
            attention_head_dim=UNET_HEADS)
        vae = AutoencoderKL(
            block_out_channels=(32, 32, 32, 32), layers_per_block=1, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
        text = CLIPTextModel(CLIPTextConfig(
            hidden_size=TEXT_WIDTH, intermediate_size=4 * TEXT_WIDTH, num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=TEXT_HEADS, projection_dim=TEXT_WIDTH, vocab_size=49408, hidden_act="quick_gelu"))
        torch.nn.init.normal_(text.text_model.embeddings.token_embedding.weight, std=0.5)
        torch.nn.init.constant_(text.text_model.final_layer_norm.bias, 0.1)
    return unet.eval(), vae.eval(), text.eval()


def tensors(seed: int = 0, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """Returns the checkpoint's tensors under their LDM names, in a dict of the caller's own."""
    return dict(_tensors(seed, dtype))


@functools.cache
def _tensors(seed: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    unet, vae, text = networks(seed)
    state = {f"model.diffusion_model.{ldm_keys.unet_key(k)}": v for k, v in unet.state_dict().items()}
    for name, value in vae.state_dict().items():
        value = value[:, :, None, None] if ldm_keys.is_vae_attention_matrix(name) else value
        state[f"first_stage_model.{ldm_keys.vae_key(name)}"] = value
    state |= {f"cond_stage_model.transformer.{k}": v for k, v in text.state_dict().items()}
    return {name: value.to(dtype).contiguous() for name, value in state.items()}


def config() -> dict[str, object]:
    """Returns the content of the `.yaml`: what shapes cannot tell."""
    return {"model": {"params": {
        "image_size": SIZE // 8,
        "scale_factor": 0.18215,
        "unet_config": {"params": {"num_heads": UNET_HEADS}},
        "cond_stage_config": {"params": {"version": "text"}},
    }}}


def write(folder: Path, name: str = "tiny.safetensors", seed: int = 0, dtype: torch.dtype = torch.float16) -> Path:
    """Writes checkpoint, `.yaml` and the text encoder's config into a folder; returns the checkpoint's path."""
    (folder / "text").mkdir(parents=True, exist_ok=True)
    (folder / "text" / "config.json").write_text(json.dumps({"num_attention_heads": TEXT_HEADS}), encoding="utf8")
    path = folder / name
    path.with_suffix(".yaml").write_text(json.dumps(config()), encoding="utf8")  # JSON is YAML
    if path.suffix == ".safetensors":
        save_file(tensors(seed, dtype), path)
    else:
        torch.save({"state_dict": tensors(seed, dtype)}, path)
    return path
