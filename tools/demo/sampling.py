"""Generates pictures with the three networks: DDIM with classifier-free guidance, seeded per picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from tools.demo import pictures, progress
from tools.demo.latents import load_vae
from tools.demo.models import build_schedule, build_tokenizer, build_unet
from tools.demo.settings import LATENT_SCALE, PICTURE
from tools.demo.unet import load_text


@dataclass
class Networks:
    """The parts of the checkpoint, in single precision."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    vae: AutoencoderKL
    tokenizer: CLIPTokenizer


def load(work: Path) -> Networks:
    """The networks as trained so far, the U-Net's averaged weights."""
    unet = build_unet()
    unet.load_state_dict(progress.need(work / "unet.pt")["average"])
    return Networks(unet.eval().requires_grad_(False), load_text(work), load_vae(work), build_tokenizer())


@torch.no_grad()
def generate(
    networks: Networks, prompts: list[str], seed: int, steps: int = 20, guidance: float = 5.0, negative: str = ""
) -> list[Image.Image]:
    """One picture per prompt.

    Args:
        networks: The checkpoint.
        prompts: Captions.
        seed: The i-th picture starts from noise of seed + i.
        steps: DDIM steps.
        guidance: Classifier-free guidance; 1 switches it off.
        negative: The prompt to steer away from.
    """
    side = PICTURE // 8
    noise = [torch.randn(4, side, side, generator=torch.Generator().manual_seed(seed + i)) for i in range(len(prompts))]
    latents = torch.stack(noise)
    states = _encode(networks, [negative] * len(prompts) + prompts)
    schedule = build_schedule()
    schedule.set_timesteps(steps)
    for time in schedule.timesteps:
        empty, told = networks.unet(torch.cat([latents, latents]), time, states).sample.chunk(2)
        latents = schedule.step(empty + guidance * (told - empty), time, latents).prev_sample
    return pictures.to_pictures(networks.vae.decode(latents / LATENT_SCALE).sample)


def _encode(networks: Networks, prompts: list[str]) -> torch.Tensor:
    tokens = networks.tokenizer(prompts, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
    return networks.text(tokens.input_ids).last_hidden_state
