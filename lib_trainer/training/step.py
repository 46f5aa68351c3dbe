"""One micro-batch: from samples to the loss of every sample.

What is drawn at random is drawn on the CPU, before the turn, from generators that belong to the run's seed, the
purpose, the epoch and the sample. Inside the turn the latents are noised, the U-Net predicts, and the losses come out
with their graph; the caller runs backward in the same turn, while the adapters are attached. `losses` follows from the
weights and from what was drawn alone, so that any step can be done again with recorded noise.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.data.cache import LatentCache, Moments, TextCache
from lib_trainer.data.dataset import Batch, Sample
from lib_trainer.data.pictures import load_batch
from lib_trainer.host import Conditioning, HostModel
from lib_trainer.training import noise as noises
from lib_trainer.training import noise_schedule, objective, weighting
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.noise import Noise

_LATENT_CHANNELS, _PIXELS_PER_LATENT = 4, 8
"""Of the VAEs of every family."""


@dataclass(frozen=True)
class Inputs:
    """Where the latents and the text states of a run come from.

    Attributes:
        latents: cached posteriors, None = encode at every use.
        texts: cached text states, None = encode at every use.
        text_grad: whether the text encoder's adapters learn.
        autocast: dtype to compute in, None = as the model is.
        without_adapters: while open, the model is as it was before the training; for samples that keep the base.
    """

    latents: LatentCache | None
    texts: TextCache | None
    text_grad: bool
    autocast: torch.dtype | None
    without_adapters: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Drawn:
    """A batch with everything that is drawn at random, float32 on the CPU.

    Attributes:
        batch: the samples.
        moments: mean and standard deviation (B, 4, h, w); None = encode `pixels` in the turn.
        pixels: (B, 3, H, W) in [-1, 1].
        timesteps: (B,) int64.
        posterior: (B, 4, h, w) normal numbers for the VAE's samples.
        noise: what the latents are noised with.
        masks: (B, 1, h, w) in 0..1, where the loss counts; None = everywhere.
    """

    batch: Batch
    moments: Moments | None
    pixels: Tensor | None
    timesteps: Tensor
    posterior: Tensor
    noise: Noise
    masks: Tensor | None = None


@dataclass(frozen=True)
class Losses:
    """The losses of a batch, float32 on the model's device.

    Attributes:
        weighted: (B,) with its graph: what is trained on; the batch's loss is the mean of it.
        plain: (B,) without graph: before all weights, so that samples can be compared.
    """

    weighted: Tensor
    plain: Tensor


@dataclass(frozen=True)
class Noised:
    """Noised latents and what belongs to them, on the model's device.

    Attributes:
        prediction: what the U-Net is asked for, "epsilon" or "v".
        noisy, target: (B, 4, h, w) float32. timesteps: (B,) int64. alphas: (B,) float32, ᾱ at these timesteps.
    """

    prediction: str
    noisy: Tensor
    target: Tensor
    timesteps: Tensor
    alphas: Tensor


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

    moments, pixels = load(inputs, batch)
    shape = latent_shape(moments, pixels)
    return Drawn(
        batch=batch, moments=moments, pixels=pixels,
        timesteps=objective.timesteps(generators("timestep"), config.min_timestep, config.max_timestep),
        posterior=noises.normal(shape, generators("posterior")), noise=noises.draw(config, shape, generators),
    )


def load(inputs: Inputs, batch: Batch) -> tuple[Moments | None, Tensor | None]:
    """Returns the cached moments of a batch, or its pixels where nothing is cached."""
    if inputs.latents:
        return inputs.latents.batch(batch.samples), None
    return None, load_batch(batch.samples)


def latent_shape(moments: Moments | None, pixels: Tensor | None) -> tuple[int, int, int]:
    """Returns (C, h, w) of the latents of a batch."""
    if moments is not None:
        channels, height, width = moments[0].shape[1:]
        return channels, height, width
    if pixels is None:
        raise RuntimeError("A batch has neither latents nor pixels.")
    height, width = pixels.shape[2:]
    return _LATENT_CHANNELS, height // _PIXELS_PER_LATENT, width // _PIXELS_PER_LATENT


def losses(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Losses:
    """Returns the losses of every sample.

    Call it inside a turn with the adapters attached, and run backward before the turn ends.
    """
    noised = noise_latents(config, model, drawn)
    predicted = predict(config, inputs, model, drawn.batch.samples, noised.noisy, noised.timesteps)
    target = _with_base(config, inputs, model, drawn.batch.samples, noised)
    threshold = None
    if config.loss_type in ("huber", "smooth_l1"):
        threshold = objective.huber_threshold(config, noised.alphas, noised.timesteps)
    masks = None if drawn.masks is None else drawn.masks.to(model.device)
    plain = objective.mean(objective.elements(config.loss_type, predicted, target, threshold), masks)
    weights = _sample_weights(config, drawn.batch.samples)
    by_timestep = weighting.of_timesteps(config, noised.prediction, noised.alphas)
    weighted = plain if weights is None else plain * weights.to(model.device)
    return Losses(weighted if by_timestep is None else weighted * by_timestep, plain.detach())


def noise_latents(config: TrainConfig, model: HostModel, drawn: Drawn) -> Noised:
    """Encodes what is not cached, samples the posterior and noises the latents."""
    device = model.device
    timesteps = drawn.timesteps.to(device)
    prediction, alphas = noise_schedule.for_run(config, model)
    mean, std = drawn.moments or model.encode_images(_pixels(drawn))
    latents = objective.sample_posterior(
        mean.to(device), std.to(device), drawn.posterior, model.checkpoint.family.latent_scale
    )
    wanted, given = noises.mixed(drawn.noise, latents, config.adaptive_noise_scale)
    return Noised(
        prediction=prediction, noisy=objective.add_noise(latents, given, alphas, timesteps),
        target=objective.target(prediction, wanted, latents, alphas, timesteps), timesteps=timesteps,
        alphas=alphas[timesteps],
    )


def predict(
    config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample], noisy: Tensor, timesteps: Tensor
) -> Tensor:
    """Returns what the model says of noisy latents at their timesteps, (B, 4, h, w), in the precision of the run."""
    autocast = torch.autocast(model.device.type, inputs.autocast) if inputs.autocast else nullcontext()
    with autocast:
        cond = conditioning(config, inputs, model, samples)
        return model.predict(noisy, timesteps, cond)


def _pixels(drawn: Drawn) -> Tensor:
    if drawn.pixels is None:
        raise RuntimeError("A batch has neither latents nor pixels.")
    return drawn.pixels


def keeps_base(config: TrainConfig, sample: Sample) -> bool:
    """Whether a sample teaches what the model says without the adapters."""
    return sample.item.subset.keeps_base or (config.keep_base and sample.item.is_reg)


def _with_base(
    config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample], noised: Noised
) -> Tensor:
    """Returns the targets; those of samples that keep the base are the model's own prediction without the adapters.

    Differential output preservation: the same noisy latent and caption, adapters of U-Net and text encoder off, one
    forward pass without graph for these samples alone. (The reference trainer gives the untrained U-Net the text states
    of the trained encoder, and on SD 1 and 2 mixes up the samples of a batch.)
    """
    kept = [index for index, sample in enumerate(samples) if keeps_base(config, sample)]
    if not kept:
        return noised.target
    chosen = torch.tensor(kept, device=noised.noisy.device)
    samples = [samples[index] for index in kept]
    with torch.no_grad(), inputs.without_adapters():
        base = predict(config, replace(inputs, text_grad=False), model, samples, noised.noisy[chosen],
                       noised.timesteps[chosen])
    return noised.target.index_copy(0, chosen, base.to(noised.target.dtype))


def conditioning(config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample]) -> Conditioning:
    """Returns what the U-Net is told about a batch, on the model's device: captions, and sizes where it knows them."""
    captions = [sample.caption for sample in samples]
    if inputs.texts:
        told = inputs.texts.conditioning(captions)
    else:
        told = model.encode_captions(captions, config.clip_skip, chunks(config), grad=inputs.text_grad)
    sizes = None
    if model.checkpoint.family.has_size_ids:
        sizes = torch.tensor([sample.size_ids for sample in samples], dtype=torch.float32, device=model.device)
    pooled = None if told.pooled is None else told.pooled.to(model.device)
    return Conditioning(told.hidden.to(model.device), pooled, sizes)


def _sample_weights(config: TrainConfig, samples: Sequence[Sample]) -> Tensor | None:
    """Returns the weight of every sample, (B,) on the CPU: its subset's, and that of regularisation pictures."""
    weights = [
        sample.item.subset.loss_weight * (config.prior_loss_weight if sample.item.is_reg else 1.0)
        for sample in samples
    ]
    return torch.tensor(weights) if any(weight != 1.0 for weight in weights) else None
