"""Stages `vae` and `decoder`: train the autoencoder.

What works on a small budget (found by trial): no KL term and no learned variance, but latents that are normalised over
the batch and get a little fixed noise. (With absolute noise on latents of free size they shrink to nothing at once.)
Eyes are the smallest thing that must survive, so their region counts more, and
a term on the differences of neighbouring pixels keeps edges sharp. When the encoder is good enough it is frozen and
stage `decoder` goes on with the decoder alone: latents that were cached, and a U-Net trained on them, stay valid.
All of it runs in bfloat16 without torch.compile, whose result learned less here.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn

from tools.demo import pictures, progress
from tools.demo.models import build_vae
from tools.demo.settings import VAE


def loss_of(made: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Reconstruction loss and, for the report, the plain mean absolute error.

    Args:
        made: Decoded pixels (B, 3, H, W).
        wanted: Their originals in [-1, 1].
    """
    weight = torch.ones_like(wanted[:1, :1])
    weight[..., 22:50, 14:50] = 2.0
    error = (made - wanted) * weight
    plain = error.abs().mean()
    edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return plain + 0.5 * edges + error.square().mean(), (made - wanted).abs().mean().detach()


def train(work: Path, steps: int, decoder_only: bool = False) -> None:
    """Train the autoencoder, or its decoder alone; resumes from the work folder.

    Args:
        work: Folder of the training state.
        steps: Steps in all; the learning rate falls to nothing there.
        decoder_only: Leave the encoder (and so the latents) as it is.
    """
    vae = build_vae().to(memory_format=torch.channels_last)
    path = work / ("decoder.pt" if decoder_only else "vae.pt")
    torch.manual_seed(VAE.seed)
    if decoder_only:
        vae.load_state_dict(progress.need(work / "vae.pt")["model"])
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    trained = [p for p in vae.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=VAE.rate, betas=(0.9, 0.99), weight_decay=0.0)
    moments = progress.need(work / "moments.pt") if decoder_only else None
    first, state = 0, progress.load(path)
    if state:
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    report = progress.Report("decoder" if decoder_only else "vae", 25)
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = progress.decayed_rate(step, steps, VAE.rate, 100)
        number, odd = (step + 10**6, VAE.batch // 2) if decoder_only else (step, VAE.batch // 4)
        pixels = pictures.for_autoencoder(VAE.batch, odd, VAE.seed, number)
        report.add(step, **_step(vae, optimizer, pixels, moments))
        if (step + 1) % 100 == 0 or step + 1 == steps:
            progress.save(path, {"model": vae.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1})


def _pass(
    vae: AutoencoderKL, pixels: torch.Tensor, noise: torch.Tensor, moments: dict[str, torch.Tensor] | None
) -> tuple[torch.Tensor, float]:
    """Reconstructed pixels, and the standard deviation of the raw latents.

    Latents are normalised by `moments` (`mean` and `spread` per channel, as they ship), or by the batch's own.
    """
    with torch.autocast("cpu", torch.bfloat16):
        raw = vae.quant_conv(vae.encoder(pixels))[:, :4].float()
        mean, spread = raw.mean((0, 2, 3)), raw.std((0, 2, 3)) + 1e-4
        if moments:
            mean, spread = moments["mean"], moments["spread"]
        normal = (raw - mean[:, None, None]) / spread[:, None, None]
        made = vae.decoder(vae.post_quant_conv(normal + noise))
    return made.float(), raw.detach().std().item()


def _step(
    vae: AutoencoderKL,
    optimizer: torch.optim.Optimizer,
    pixels: torch.Tensor,
    moments: dict[str, torch.Tensor] | None,
) -> dict[str, float]:
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    noise = torch.randn(VAE.batch, 4, pixels.shape[2] // 8, pixels.shape[3] // 8) * VAE.noise
    made, spread = _pass(vae, pixels, noise, moments)
    loss, plain = loss_of(made, pixels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_([p for p in vae.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    return {"loss": loss.item(), "l1": plain.item(), "spread": spread}
