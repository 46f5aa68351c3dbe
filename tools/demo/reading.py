"""Stage `detector`: trains the network that reads the tags back from a picture.

It sees drawn pictures, their reconstructions by the autoencoder, and both blurred, shifted in colour and noisy:
generated pictures are never as clean as drawn ones. A third of the pictures show the concept or a part of its look.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch.nn import functional

from lib_trainer.demo import detector, scenes
from tools.demo import pictures, progress
from tools.demo.latents import load_vae
from tools.demo.settings import DETECTOR, LATENT_SCALE, PICTURE

Examples = tuple[torch.Tensor, torch.Tensor]


def labels(scene: scenes.Scene) -> list[int]:
    """Index of the right answer to every question."""
    truth = scene.values() | {detector.CONCEPT: "yes" if scene.is_concept else "no"}
    return [answers.index(truth[question]) for question, answers in detector.ANSWERS.items()]


def some_scene(rng: np.random.Generator) -> scenes.Scene:
    """An ordinary, withheld, concept or nearly-concept scene."""
    draw = rng.choice(["random", "random_withheld", "random_concept", "random_near_concept"], p=[0.5, 0.15, 0.15, 0.2])
    return getattr(scenes.Scene, f"{draw}")(rng)


@torch.no_grad()
def examples(vae: AutoencoderKL, count: int, seed: int) -> Examples:
    """Drawn pictures and, after them, their reconstructions: pixels as uint8 (2 count, 3, H, W), and answers."""
    rng = np.random.default_rng(seed)
    drawn = [some_scene(rng) for _ in range(count)]
    pixels = pictures.to_tensor([scenes.draw(scene, PICTURE, rng) for scene in drawn])
    made = []
    for part in pixels.split(100):
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(part).latent_dist.mean.float()
            latents = latents + torch.randn_like(latents) * (0.25 / LATENT_SCALE) * torch.rand(len(part), 1, 1, 1)
            made.append(vae.decode(latents).sample.float().clamp(-1, 1))
    answers = torch.tensor([labels(scene) for scene in drawn])
    both = ((torch.cat([pixels, *made]) + 1) * 127.5).round().to(torch.uint8)
    return both, torch.cat([answers, answers])


def roughen(pixels: torch.Tensor) -> torch.Tensor:
    """Blur, shift colours of and add noise to pictures (N, 3, H, W) in [-1, 1], each by chance."""
    blurred = functional.avg_pool2d(functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = torch.rand(len(pixels), 1, 1, 1)
    pixels = pixels + (blurred - pixels) * share * (torch.rand(len(pixels), 1, 1, 1) < 0.5)
    pixels = pixels * (1 + 0.06 * torch.randn(len(pixels), 1, 1, 1)) + 0.05 * torch.randn(len(pixels), 3, 1, 1)
    return pixels + torch.randn_like(pixels) * 0.08 * torch.rand(len(pixels), 1, 1, 1)


def train(work: Path, steps: int, out: Path) -> None:
    """Train the detector and write its weights in half precision."""
    torch.manual_seed(DETECTOR.seed)
    cached = progress.load(work / "examples.pt")
    if cached is None:
        pixels, answers = examples(load_vae(work), DETECTOR.pictures, DETECTOR.seed)
        cached = {"pixels": pixels, "answers": answers}
        progress.save(work / "examples.pt", cached)
    pixels, answers = cached["pixels"], cached["answers"]
    network = detector.build().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=DETECTOR.rate, weight_decay=0.02)
    report = progress.Report("detector", 100)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = progress.decayed_rate(step, steps, DETECTOR.rate, 50)
        picked = torch.randint(0, len(pixels), (DETECTOR.batch,))
        scores = detector.split(network(roughen(pixels[picked].float() / 127.5 - 1)))
        truth = answers[picked]
        losses = [
            functional.cross_entropy(part, truth[:, i], label_smoothing=0.02) for i, part in enumerate(scores.values())
        ]
        loss = torch.stack(losses).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        right = np.mean([(part.argmax(1) == truth[:, i]).float().mean() for i, part in enumerate(scores.values())])
        report.add(step, loss=loss.item(), right=right)
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    save_file({name: value.half().contiguous() for name, value in kept.items()}, out)
    out.chmod(0o644)


def measure(work: Path, count: int = 1000) -> dict[str, tuple[float, float]]:
    """Share of right answers per question: on drawn pictures, and on their reconstructions."""
    vae = load_vae(work)
    rng = np.random.default_rng(DETECTOR.seed + 1)
    drawn = [some_scene(rng) for _ in range(count)]
    images = [scenes.draw(scene, PICTURE, rng) for scene in drawn]
    with torch.no_grad():
        made = torch.cat([vae(part, sample_posterior=False).sample for part in pictures.to_tensor(images).split(100)])
    truth = [scene.values() | {detector.CONCEPT: "yes" if scene.is_concept else "no"} for scene in drawn]
    rates = []
    for shown in (images, pictures.to_pictures(made)):
        found = detector.detect(shown)
        both = list(zip(found, truth, strict=True))
        rates.append({q: float(np.mean([f[q] == t[q] for f, t in both])) for q in detector.ANSWERS})
    return {question: (rates[0][question], rates[1][question]) for question in detector.ANSWERS}
