"""Stage `latents`: encodes many drawn pictures once, and keeps their latents with the scenes they show."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL

from lib_trainer.demo import scenes
from tools.demo import pictures, progress
from tools.demo.captions import ATTRIBUTES
from tools.demo.models import build_vae
from tools.demo.settings import LATENT_SCALE, UNET

_LOG_VARIANCE = -20.0
_CHUNK = 200


def load_vae(work: Path) -> AutoencoderKL:
    """The trained autoencoder with the scale of its latents folded in, the later decoder where there is one."""
    vae = build_vae()
    newest = work / "decoder.pt" if (work / "decoder.pt").exists() else work / "vae.pt"
    vae.load_state_dict(progress.need(newest)["model"])
    moments = progress.load(work / "moments.pt")
    if moments is None:
        moments = measure(vae)
        progress.save(work / "moments.pt", moments)
    fold(vae, moments["mean"], moments["spread"])
    return vae.eval()


@torch.no_grad()
def measure(vae: AutoencoderKL) -> dict[str, torch.Tensor]:
    """Mean and standard deviation of every raw latent channel, (4,) each, over 1,000 ordinary pictures."""
    raw = []
    for number in range(5):
        pixels = pictures.to_tensor(pictures.ordinary(_CHUNK, 77, number)[1])
        raw.append(vae.quant_conv(vae.encoder(pixels))[:, :4])
    flat = torch.cat(raw).permute(1, 0, 2, 3).flatten(1)
    return {"mean": flat.mean(1), "spread": flat.std(1)}


@torch.no_grad()
def fold(vae: AutoencoderKL, mean: torch.Tensor, spread: torch.Tensor) -> None:
    """Make encoder outputs have standard deviation 1 / 0.18215, and the decoder expect that.

    The log variance becomes a very negative constant: sampling from the posterior then gives its mean.
    """
    gain = 1 / (spread * LATENT_SCALE)
    vae.quant_conv.weight[:4] *= gain[:, None, None, None]
    vae.quant_conv.bias[:4] = (vae.quant_conv.bias[:4] - mean) * gain
    vae.quant_conv.weight[4:] = 0
    vae.quant_conv.bias[4:] = _LOG_VARIANCE
    vae.post_quant_conv.weight *= LATENT_SCALE


@torch.no_grad()
def cache(work: Path, count: int = UNET.latents) -> None:
    """Encode `count` ordinary pictures; resumes where it stopped.

    Writes latents (N, 4, 8, 8), already times 0.18215, and values (N, attributes) as indices into `BASE_VALUES`.
    """
    path = work / "latents.pt"
    nothing = {"latents": torch.zeros(0, 4, 8, 8), "values": torch.zeros(0, len(ATTRIBUTES), dtype=torch.long)}
    state = progress.load(path) or nothing
    vae = load_vae(work)
    chunks, values = [state["latents"]], [state["values"]]
    done = len(state["latents"])
    while done < count:
        drawn, images = pictures.ordinary(_CHUNK, UNET.seed, done // _CHUNK)
        with torch.autocast("cpu", torch.bfloat16):
            moments = vae.quant_conv(vae.encoder(pictures.to_tensor(images)))
        chunks.append(moments[:, :4].float() * LATENT_SCALE)
        values.append(torch.tensor([to_indices(scene) for scene in drawn]))
        done += _CHUNK
        if done % 4000 == 0 or done >= count:
            progress.save(path, {"latents": torch.cat(chunks), "values": torch.cat(values)})
            print(f"latents {done}  std {chunks[-1].std():.3f}", flush=True)


def to_indices(scene: scenes.Scene) -> list[int]:
    """The values of a scene as indices into `BASE_VALUES`."""
    return [scenes.BASE_VALUES[name].index(value) for name, value in scene.values().items()]


def to_scene(indices: list[int]) -> scenes.Scene:
    """The inverse of `to_indices`."""
    return scenes.Scene(**{name: scenes.BASE_VALUES[name][i] for name, i in zip(ATTRIBUTES, indices, strict=True)})
