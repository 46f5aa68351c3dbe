"""AUTOMATIC1111's model in small: the original LDM U-Net and autoencoder with transformers' CLIP, and how it draws.

The U-Net, the autoencoder's halves and the attention are the very classes that the WebUI runs (stable-diffusion-sdkit);
what the WebUI wraps around them is doubled here, as far as training and drawing touch it. The checkpoint is the tests'
tiny one, whose tensors carry the original names.
"""
from __future__ import annotations

import itertools
import re
from typing import Any

import networks
import numpy
import torch
from ldm.modules.diffusionmodules.model import Decoder, Encoder
from ldm.modules.diffusionmodules.openaimodel import UNetModel
from modules import devices, sd_models, shared
from modules.sd_hijack import EmbeddingsWithFixes, model_hijack
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from lib_trainer.hosts.standalone.tokens import Tokenizer
from tests import tiny_checkpoint as tiny

UNET = {
    "image_size": tiny.SIZE // 8, "in_channels": 4, "out_channels": 4, "model_channels": tiny.UNET_WIDTHS[0],
    "attention_resolutions": [4, 2, 1], "num_res_blocks": 2, "channel_mult": [1, 1, 1, 1],
    "num_heads": tiny.UNET_HEADS, "use_spatial_transformer": True, "context_dim": tiny.TEXT_WIDTH, "legacy": False,
}
VAE = {
    "ch": 32, "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "in_channels": 3, "out_ch": 3,
    "resolution": tiny.SIZE, "z_channels": 4, "double_z": True,
}
SCALE = 0.18215
CONTRAST = 3.0
"""Random weights draw pale pictures, in which a LoRA's effect would drown in 8-bit rounding."""


class DiffusionWrapper(nn.Module):
    """What stands between the model and its U-Net."""

    conditioning_key = "crossattn"

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.diffusion_model = unet


class FirstStage(nn.Module):
    """The autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(**VAE), Decoder(**VAE)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)


class FrozenClip(nn.Module):
    """The text encoder as the original code has it."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = CLIPTextModel(CLIPTextConfig(
            hidden_size=tiny.TEXT_WIDTH, intermediate_size=4 * tiny.TEXT_WIDTH, num_hidden_layers=tiny.TEXT_LAYERS,
            num_attention_heads=tiny.TEXT_HEADS, projection_dim=tiny.TEXT_WIDTH, vocab_size=49408,
            hidden_act="quick_gelu"))


class WithCustomWords(nn.Module):
    """The WebUI's wrapper of a text encoder: `(words:1.3)` is emphasis, a word may be an embedding's name."""

    def __init__(self, wrapped: nn.Module) -> None:
        super().__init__()
        self.wrapped = wrapped
        self._clip = Tokenizer()
        self.id_start, self.id_end = self._clip.begin, self._clip.end
        self.id_pad = self.id_end

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        return [self._clip.ids(text) for text in texts]

    def forward(self, texts: list[str]) -> torch.Tensor:
        strength = [float(found[1]) if (found := re.search(r":([\d.]+)\)", text)) else 1.0 for text in texts]
        plain = [re.sub(r"\((.*?):[\d.]+\)", r"\1", text) for text in texts]
        rows = [self._clip.wrap(ids) for ids in self.tokenize(plain)]
        states = self.encode_with_transformers(torch.tensor(rows))
        return states * torch.tensor(strength)[:, None, None]

    def encode_with_transformers(self, tokens: torch.Tensor) -> torch.Tensor:
        skip = shared.opts.CLIP_stop_at_last_layers
        states = self.wrapped.transformer(input_ids=tokens, output_hidden_states=True).hidden_states[-skip]
        return self.wrapped.transformer.text_model.final_layer_norm(states)


class LatentDiffusion(nn.Module):
    """A Stable Diffusion 1.x model as the WebUI holds it."""

    parameterization = "eps"
    image_size = tiny.SIZE // 8
    is_sd1, is_sd2, is_sdxl, is_sd3 = True, False, False, False
    lowvram = False

    def __init__(self) -> None:
        super().__init__()
        self.model = DiffusionWrapper(UNetModel(**UNET))
        self.first_stage_model = FirstStage()
        self.cond_stage_model: Any = FrozenClip()
        betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
        self.register_buffer("alphas_cumprod", (1 - betas).cumprod(0).float())

    def apply_model(self, x: torch.Tensor, t: torch.Tensor, cond: dict[str, list[torch.Tensor]]) -> torch.Tensor:
        dtype = devices.dtype_unet
        states = torch.cat([part.to(dtype) for part in cond["c_crossattn"]], 1)
        with devices.autocast():
            return self.model.diffusion_model(x.to(dtype), t.to(dtype), context=states)

    @torch.no_grad()
    def said(self, text: str) -> torch.Tensor:
        """Returns the states of a prompt."""
        states: torch.Tensor = self.cond_stage_model([text])
        return states

    @torch.no_grad()
    def paint(self, p: Any, prompt: str, negative: str, seed: int) -> Image.Image:
        """Draws with DDIM and guidance, as `modules.processing` of the doubles asks."""
        sd_models.apply_token_merging(self, getattr(p, "token_merging_ratio", 0))
        conds = p.conds(prompt, negative, self.said)
        noise = torch.randn(1, 4, p.height // 8, p.width // 8, generator=torch.Generator().manual_seed(seed))
        steps = torch.linspace(999, 0, p.steps + 1).long()
        x = noise
        for done, (time, following) in enumerate(itertools.pairwise(steps), 1):
            states = torch.cat(p.denoises(*conds, done - 1))
            said = self.apply_model(x.repeat(2, 1, 1, 1), time.repeat(2), {"c_crossattn": [states]}).float()
            epsilon = said[1] + p.cfg_scale * (said[0] - said[1])
            now, later = self.alphas_cumprod[time], self.alphas_cumprod[following]
            start = (x - (1 - now).sqrt() * epsilon) / now.sqrt()
            x = later.sqrt() * start + (1 - later).sqrt() * epsilon
            if not p.step_done(done):
                break
        drawn = self.first_stage_model.decoder(self.first_stage_model.post_quant_conv(x / SCALE))[0]
        pixels = (CONTRAST * drawn).clamp(-1, 1)
        return Image.fromarray(((pixels.permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(numpy.uint8))


def make(info: Any) -> LatentDiffusion:
    """Loads a checkpoint file and wraps the model as the WebUI does; `sd_models.model_maker` of the doubles."""
    with torch.random.fork_rng(devices=[]):
        model = LatentDiffusion().eval()
    tensors = {name: tensor.float() for name, tensor in load_file(info.filename).items()}
    missing, unknown = model.load_state_dict(tensors, strict=False)
    assert set(missing) <= {"alphas_cumprod"} and not unknown, (missing, unknown)
    for part in (model.first_stage_model, model.cond_stage_model):
        part.requires_grad_(False)  # the U-Net's weights keep asking for a gradient, as in the WebUI
    words = model.cond_stage_model.transformer.text_model.embeddings
    words.token_embedding = EmbeddingsWithFixes(words.token_embedding, model_hijack)
    model.cond_stage_model = WithCustomWords(model.cond_stage_model)
    model.sd_checkpoint_info, model.sd_model_hash = info, info.name
    networks.assign_network_names_to_compvis_modules(model)
    networks.watch(model)
    return model


