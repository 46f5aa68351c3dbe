"""reForge's model in small: the original LDM U-Net and autoencoder with transformers' CLIP, and how it draws.

The U-Net and the autoencoder's halves are the original classes (stable-diffusion-sdkit), of which reForge's are a copy
with the same names; what reForge wraps around them is doubled here, as far as training and drawing touch it. The
checkpoint is the tests' tiny one, whose tensors carry the original names. Flags are as the program leaves them: the
U-Net is in train mode, the autoencoder wants gradients. (So does the real U-Net, until a LoRA was merged into a weight
and taken out again; here none does from the start, for the contract compares flags across such pictures.)
"""
from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import torch
from ldm.modules.diffusionmodules.model import Decoder, Encoder
from ldm.modules.diffusionmodules.openaimodel import UNetModel
from ldm_patched.modules import model_management
from ldm_patched.modules.model_patcher import ModelPatcher
from ldm_patched.modules.sd import CLIP, CPU, VAE
from modules import shared
from modules.sd_hijack import EmbeddingsWithFixes, model_hijack
from modules_forge.forge_loader import ForgeSD
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer

import lib_trainer
from tests import tiny_checkpoint as tiny

UNET = {
    "image_size": tiny.SIZE // 8, "in_channels": 4, "out_channels": 4, "model_channels": tiny.UNET_WIDTHS[0],
    "attention_resolutions": [4, 2, 1], "num_res_blocks": 2, "channel_mult": [1, 1, 1, 1],
    "num_heads": tiny.UNET_HEADS, "use_spatial_transformer": True, "context_dim": tiny.TEXT_WIDTH, "legacy": False,
    "use_checkpoint": False,
}
AUTOENCODER = {
    "ch": 32, "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "in_channels": 3, "out_ch": 3,
    "resolution": tiny.SIZE, "z_channels": 4, "double_z": True,
}
SCALE = 0.18215
CONTRAST = 3.0
"""The tiny autoencoder draws nearly grey: a picture's differences are spread over more of the 255 levels."""
CLIP_FILES = Path(lib_trainer.__file__).parent / "assets" / "clip"


class EPS:
    """Marks a model that predicts the noise."""


class ModelSamplingDiscrete(nn.Module):
    """The noise schedule, kept as standard deviations."""

    def __init__(self) -> None:
        super().__init__()
        betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
        alphas = (1 - betas).cumprod(0)
        self.register_buffer("sigmas", ((1 - alphas) / alphas).sqrt().float())


class ModelSampling(ModelSamplingDiscrete, EPS):
    """A discrete schedule with noise prediction."""


class BaseModel(nn.Module):
    """The U-Net with its schedule."""

    manual_cast_dtype = None
    adm_channels = 0
    latent_format = SimpleNamespace(scale_factor=SCALE)

    def __init__(self) -> None:
        super().__init__()
        self.diffusion_model = UNetModel(**UNET)
        self.model_sampling = ModelSampling()

    def get_dtype(self) -> torch.dtype:
        return torch.float32


class SDClipModel(nn.Module):
    """One text encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = CLIPTextModel(CLIPTextConfig(
            hidden_size=tiny.TEXT_WIDTH, intermediate_size=4 * tiny.TEXT_WIDTH, num_hidden_layers=tiny.TEXT_LAYERS,
            num_attention_heads=tiny.TEXT_HEADS, projection_dim=tiny.TEXT_WIDTH, vocab_size=49408,
            hidden_act="quick_gelu"))
        self.text_projection = nn.Parameter(torch.eye(tiny.TEXT_WIDTH))


class SD1ClipModel(nn.Module):
    """The text encoders of Stable Diffusion 1.x: one."""

    def __init__(self) -> None:
        super().__init__()
        self.clip_l = SDClipModel()


class FirstStage(nn.Module):
    """The autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(**AUTOENCODER), Decoder(**AUTOENCODER)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)


class LatentDiffusion:
    """A Stable Diffusion 1.x model as the program holds it."""

    ztsnr = False
    current_lora_hash = str([])

    def __init__(self, info: Any, objects: ForgeSD) -> None:
        self.sd_checkpoint_info, self.filename = info, info.filename
        self.forge_objects: Any = objects
        self.forge_objects_original: Any = objects.shallow_copy()
        self.forge_objects_after_applying_lora: Any = objects.shallow_copy()

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns the states (N, 77, C) of rows of ids; LoRAs of the generation are merged first."""
        model_management.load_model_gpu(self.forge_objects.clip.patcher)
        clip = self.forge_objects.clip.cond_stage_model.clip_l.transformer
        states = clip(input_ids=ids, output_hidden_states=True).hidden_states[-shared.opts.CLIP_stop_at_last_layers]
        return clip.text_model.final_layer_norm(states)

    def said(self, text: str) -> torch.Tensor:
        """Returns the states of a prompt; `(words:1.3)` is emphasis."""
        found = re.search(r":([\d.]+)\)", text)
        tokenizer = self.forge_objects.clip.tokenizer.clip_l.tokenizer
        plain = re.sub(r"\((.*?):[\d.]+\)", r"\1", text)
        ids = tokenizer(plain, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        return self.encode(ids) * (float(found[1]) if found else 1.0)

    @torch.inference_mode()
    def paint(self, p: Any, prompt: str, negative: str, seed: int) -> Image.Image:
        """Draws with DDIM and guidance, as `modules.processing` of the doubles asks."""
        self.forge_objects = self.forge_objects_after_applying_lora.shallow_copy()
        conds = p.conds(prompt, negative, self.said)
        model_management.load_models_gpu([self.forge_objects.unet])
        unet = self.forge_objects.unet.model
        alphas = 1 / (unet.model_sampling.sigmas.double() ** 2 + 1).float()
        x = torch.randn(1, 4, p.height // 8, p.width // 8, generator=torch.Generator().manual_seed(seed))
        steps = torch.linspace(999, 0, p.steps + 1).long().tolist()
        for done, (time, following) in enumerate(pairwise(steps), 1):
            times = torch.full((2,), time)
            states = torch.cat(p.denoises(*conds, done - 1))
            said = unet.diffusion_model(x.repeat(2, 1, 1, 1), times, context=states, transformer_options={})
            epsilon = said[1] + p.cfg_scale * (said[0] - said[1])
            start = (x - (1 - alphas[time]).sqrt() * epsilon) / alphas[time].sqrt()
            x = alphas[following].sqrt() * start + (1 - alphas[following]).sqrt() * epsilon
            if not p.step_done(done):
                break
        return self._picture(x)

    def _picture(self, x: torch.Tensor) -> Image.Image:
        model_management.load_models_gpu([self.forge_objects.vae.patcher])
        first = self.forge_objects.vae.first_stage_model
        pixels = (CONTRAST * first.decoder(first.post_quant_conv(x / SCALE))[0]).clamp(-1, 1)
        return Image.fromarray(((pixels.permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(numpy.uint8))


def make(info: Any) -> LatentDiffusion:
    """Loads a checkpoint file as the program does; `sd_models.model_maker` of the doubles."""
    tensors = {name: tensor.float() for name, tensor in load_file(info.filename).items()}
    with torch.random.fork_rng(devices=[]):
        unet, clip, vae = BaseModel(), SD1ClipModel(), FirstStage()
    for network, theirs, ours in ((unet, "model.", ""), (vae, "first_stage_model.", ""),
                                  (clip, "cond_stage_model.", "clip_l.")):
        part = {ours + name.removeprefix(theirs): tensor for name, tensor in tensors.items() if name.startswith(theirs)}
        missing, unknown = network.load_state_dict(part, strict=False)
        assert set(missing) <= {"model_sampling.sigmas", "clip_l.text_projection"} and not unknown, (missing, unknown)
    unet.requires_grad_(False)
    clip.eval().requires_grad_(False)
    words = clip.clip_l.transformer.text_model.embeddings
    words.token_embedding = EmbeddingsWithFixes(words.token_embedding, model_hijack)
    tokenizer = CLIPTokenizer(str(CLIP_FILES / "vocab.json"), str(CLIP_FILES / "merges.txt"))
    return LatentDiffusion(info, ForgeSD(ModelPatcher(unet, CPU, CPU), CLIP(clip, tokenizer), VAE(vae.eval()), None))
