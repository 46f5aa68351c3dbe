"""Stage `unet`: trains the U-Net on cached latents and freshly made captions, the text encoder frozen.

Noise prediction on Stable Diffusion's schedule, weighted by min-SNR (Hang et al. 2023, equation 5, gamma 5), with an
exponential moving average of the weights; the average is what ships.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from tools.demo import progress
from tools.demo.attention import SinglePrecisionAttention
from tools.demo.captions import CaptionMaker
from tools.demo.latents import to_scene
from tools.demo.models import build_schedule, build_text, build_tokenizer, build_unet
from tools.demo.settings import UNET


def load_text(work: Path) -> CLIPTextModel:
    """The trained text encoder, frozen."""
    model = build_text()
    model.load_state_dict(progress.need(work / "text.pt")["model"])
    return model.eval().requires_grad_(False)


class Batches:
    """Makes the batch of a step from the step's number alone."""

    def __init__(self, work: Path, text: CLIPTextModel) -> None:
        cached = progress.need(work / "latents.pt")
        self._latents = cached["latents"]
        self._scenes = [to_scene(indices) for indices in cached["values"].tolist()]
        self._maker = CaptionMaker(build_tokenizer(), UNET.drop, UNET.empty, odd=0.1)
        self._text = text
        self._alphas = build_schedule().alphas_cumprod

    @torch.no_grad()
    def make(self, step: int) -> tuple[torch.Tensor, ...]:
        """Noisy latents, timesteps, text states, the noise, and the weight of every item's loss."""
        rng = np.random.default_rng([UNET.seed, step])
        generator = torch.Generator().manual_seed(UNET.seed * 10**7 + step)
        picked = rng.integers(0, len(self._scenes), UNET.batch)
        tokens = self._maker.batch([self._scenes[i] for i in picked], rng).tokens
        clean = self._latents[torch.from_numpy(picked)]
        noise = torch.randn(clean.shape, generator=generator)
        slots = (torch.arange(UNET.batch) + torch.rand(UNET.batch, generator=generator)) / UNET.batch
        times = (slots * 1000).long().clamp_max(999)
        alpha = self._alphas[times][:, None, None, None]
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        snr = (alpha / (1 - alpha)).flatten()
        return noisy, times, self._text(tokens).last_hidden_state, noise, snr.clamp_max(UNET.snr_gamma) / snr


def train(work: Path, steps: int) -> None:
    """Train the U-Net; resumes from the work folder.

    Args:
        work: Folder of the training state, with `text.pt` and `latents.pt` made before.
        steps: Steps in all; the learning rate falls to nothing there.
    """
    torch.manual_seed(UNET.seed)
    unet, average = build_unet(), build_unet().requires_grad_(False)
    average.load_state_dict(unet.state_dict())
    unet.set_attn_processor(SinglePrecisionAttention())
    optimizer = torch.optim.AdamW(unet.parameters(), lr=UNET.rate, betas=(0.9, 0.99), weight_decay=0.01)
    first, state = 0, progress.load(work / "unet.pt")
    if state:
        unet.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    batches = Batches(work, load_text(work))
    report = progress.Report("unet", 50)
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = progress.decayed_rate(step, steps, UNET.rate, UNET.warmup)
        report.add(step, **_step(unet, optimizer, batches.make(step)))
        _follow(average, unet, min(UNET.ema, (step + 1) / (step + 10)))
        if (step + 1) % 200 == 0 or step + 1 == steps:
            parts = {"model": unet, "average": average, "optimizer": optimizer}
            progress.save(work / "unet.pt", {k: v.state_dict() for k, v in parts.items()} | {"step": step + 1})


def _pass(unet: UNet2DConditionModel, noisy: torch.Tensor, times: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return unet(noisy, times, states).sample.float()


def _step(
    unet: UNet2DConditionModel, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, ...]
) -> dict[str, float]:
    noisy, times, states, noise, weight = batch
    error = (_pass(unet, noisy, times, states) - noise).square().mean((1, 2, 3))
    loss = (error * weight).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
    optimizer.step()
    return {"mse": error.mean().item(), "weighted": loss.item()}


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
