"""One micro-batch: from samples to the loss of every sample.

What is drawn at random is drawn on the CPU, before the turn, from generators that belong to the run's seed, the
purpose, the epoch and the sample. Inside the turn the latents are noised, the U-Net predicts, and the losses come out
with their graph; the caller runs backward in the same turn, while the adapters are attached.
"""
from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.data.cache import LatentCache, Moments, TextCache
from lib_trainer.data.dataset import Batch
from lib_trainer.data.pictures import load_batch
from lib_trainer.host import Conditioning, HostModel
from lib_trainer.training import objective
from lib_trainer.training.config import TrainConfig


@dataclass(frozen=True)
class Inputs:
    """Where the latents and the text states of a run come from.

    Attributes:
        latents: cached posteriors, None = encode at every use.
        texts: cached text states, None = encode at every use.
        text_grad: whether the text encoder's adapters learn.
        autocast: dtype to compute in, None = as the model is.
    """

    latents: LatentCache | None
    texts: TextCache | None
    text_grad: bool
    autocast: torch.dtype | None


@dataclass(frozen=True)
class Drawn:
    """A batch with everything that is drawn at random, on the CPU.

    Attributes:
        batch: the samples.
        moments: mean and standard deviation (B, 4, h, w); None = encode `pixels` in the turn.
        pixels: (B, 3, H, W) in [-1, 1].
        timesteps: (B,) int64.
        posterior: generators for the VAE's samples. noise: generators for the noise, one per sample each.
    """

    batch: Batch
    moments: Moments | None
    pixels: Tensor | None
    timesteps: Tensor
    posterior: list[torch.Generator]
    noise: list[torch.Generator]


def chunks(config: TrainConfig) -> int:
    """Returns how many pieces of 75 tokens a caption may have."""
    return int(config.max_tokens) // 75


def draw(config: TrainConfig, inputs: Inputs, batch: Batch, epoch: int) -> Drawn:
    """Draws all that is random in a batch; needs no turn.

    Args:
        config: the settings.
        inputs: where latents come from.
        batch: the samples.
        epoch: 1-based; the same sample draws other numbers in every epoch.
    """

    def generators(purpose: str) -> list[torch.Generator]:
        return [seeds.torch_generator(config.seed, purpose, epoch, sample.key) for sample in batch.samples]

    return Drawn(
        batch=batch,
        moments=inputs.latents.batch(batch.samples) if inputs.latents else None,
        pixels=None if inputs.latents else load_batch(batch.samples),
        timesteps=objective.timesteps(generators("timestep"), config.min_timestep, config.max_timestep),
        posterior=generators("posterior"), noise=generators("noise"),
    )


def losses(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Tensor:
    """Returns the weighted loss of every sample, (B,) float32 on the model's device, with its graph.

    Call it inside a turn with the adapters attached, and run backward before the turn ends.
    """
    device = model.device
    timesteps = drawn.timesteps.to(device)
    alphas = model.alphas_cumprod.to(device)
    mean, std = drawn.moments or model.encode_images(_pixels(drawn))
    latents = objective.sample_posterior(
        mean.to(device), std.to(device), drawn.posterior, model.checkpoint.family.latent_scale
    )
    noise = objective.noise(latents.shape[1:], drawn.noise, config.noise_offset).to(device)
    noisy = objective.add_noise(latents, noise, alphas, timesteps)
    with _computing(inputs.autocast, device):
        cond = conditioning(config, inputs, model, drawn.batch)
        predicted = model.predict(noisy, timesteps, cond)
    prediction = model.checkpoint.prediction
    target = objective.target(prediction, noise, latents, alphas, timesteps)
    return objective.loss(predicted, target, _weights(config, prediction, drawn, alphas[timesteps]))


def _pixels(drawn: Drawn) -> Tensor:
    if drawn.pixels is None:
        raise RuntimeError("A batch has neither latents nor pixels.")
    return drawn.pixels


def _computing(autocast: torch.dtype | None, device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast(device.type, autocast) if autocast else nullcontext()


def conditioning(config: TrainConfig, inputs: Inputs, model: HostModel, batch: Batch) -> Conditioning:
    """Returns what the U-Net is told about a batch, on the model's device: captions, and sizes where it knows them."""
    captions = [sample.caption for sample in batch.samples]
    if inputs.texts:
        told = inputs.texts.conditioning(captions)
    else:
        told = model.encode_captions(captions, config.clip_skip, chunks(config), grad=inputs.text_grad)
    sizes = None
    if model.checkpoint.family.has_size_ids:
        sizes = torch.tensor([sample.size_ids for sample in batch.samples], dtype=torch.float32, device=model.device)
    pooled = None if told.pooled is None else told.pooled.to(model.device)
    return Conditioning(told.hidden.to(model.device), pooled, sizes)


def _weights(config: TrainConfig, prediction: str, drawn: Drawn, alphas: Tensor) -> Tensor:
    """Returns the weight of every sample, (B,): prior loss for regularisation pictures, min-SNR by timestep."""
    prior = [config.prior_loss_weight if sample.item.is_reg else 1.0 for sample in drawn.batch.samples]
    weights = torch.tensor(prior, dtype=torch.float32, device=alphas.device)
    if config.min_snr_gamma:
        weights = weights * objective.min_snr_weight(objective.snr(alphas), config.min_snr_gamma, prediction)
    return weights
