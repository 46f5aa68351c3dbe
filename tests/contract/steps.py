"""One step of training, small and plain, for tests of the lease."""
from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch

from lib_trainer.host_model import Conditioning, HostModel, PreviewRequest
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.network import Network, create
from tests.contract.case import STEPS


def network(model: HostModel, *, blocks: frozenset[str] | None = None, text_encoder: bool = True) -> Network:
    """Returns a small LoRA that acts: random factors of a size that changes pictures visibly."""
    spec = NetworkSpec(rank=2, alpha=2.0, conv_rank=1, conv_alpha=1.0, text_encoder=text_encoder, blocks=blocks)
    made = create(model.targets(), spec, model.checkpoint.family, seed=1)
    generator = torch.Generator().manual_seed(2)
    for layer in made.layers.values():
        layer.up.data.copy_(torch.randn(layer.up.shape, generator=generator) * 0.2)
    return made


def picture(prompt: str = "a cat", *, seed: int = 3, count: int = STEPS) -> PreviewRequest:
    """Returns a preview of the size that `HostCase.draw` draws: not every host can tell that a checkpoint is tiny."""
    return PreviewRequest(prompt, seed=seed, steps=count, width=64, height=64)


def pixels(count: int = 1, size: int = 64) -> torch.Tensor:
    """Returns pictures (count, 3, size, size) in [-1, 1]."""
    return torch.rand((count, 3, size, size), generator=torch.Generator().manual_seed(4)) * 2 - 1


def conditioning(
    model: HostModel, captions: Sequence[str] = ("a cat",), clip_skip: int = 1, grad: bool = True
) -> Conditioning:
    """Returns what `predict` needs of captions, the size ids of uncropped pictures of 64 pixels included."""
    cond = model.encode_captions(captions, clip_skip=clip_skip, grad=grad)
    if not model.checkpoint.family.has_size_ids:
        return cond
    return replace(cond, sizes=torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]] * len(captions)))


def backward(model: HostModel, captions: Sequence[str] = ("a cat",), clip_skip: int = 1) -> torch.Tensor:
    """Runs what a step runs of the model, down to the gradients; returns the prediction."""
    mean, std = model.encode_images(pixels(len(captions)))
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    latents = (mean + std * noise) * model.checkpoint.family.latent_scale
    times = torch.randint(0, 1000, (len(captions),), generator=generator)
    alphas = model.alphas_cumprod[times].reshape(-1, 1, 1, 1).to(latents.device)
    noisy = alphas.sqrt() * latents + (1 - alphas).sqrt() * noise
    cond = conditioning(model, captions, clip_skip)
    prediction = model.predict(noisy, times, cond)
    torch.nn.functional.mse_loss(prediction, noise).backward()
    return prediction.detach()


def idle(model: HostModel) -> set[str]:
    """Returns the text encoders' layers that nobody computes with: SDXL takes the last but one of its first."""
    family = model.checkpoint.family
    if family.has_clip_skip:
        return set()
    first = f"{family.text_encoders[0].prefix}_text_model_encoder_layers_"
    names = [target.name for target in model.targets() if target.name.startswith(first)]
    last = max(int(name[len(first):].split("_")[0]) for name in names)
    return {name for name in names if name.startswith(f"{first}{last}_")}


def gradients(made: Network, without: Collection[str] = ()) -> dict[str, torch.Tensor]:
    """Takes the gradients of a network's factors and clears them; the layers `without` have none."""
    found = {}
    for name, layer in made.layers.items():
        if name in without:
            continue
        for part in ("down", "up"):
            factor = getattr(layer, part)
            assert factor.grad is not None, f"{name}.{part} got no gradient"
            found[f"{name}.{part}"], factor.grad = factor.grad, None
    return found
