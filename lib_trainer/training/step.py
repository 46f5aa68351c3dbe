"""One micro-batch: from samples to the loss of every sample.

What is drawn at random is drawn on the CPU, before the turn, from generators that belong to the run's seed, the
purpose, the epoch and the sample. Inside the turn the latents are noised, the U-Net predicts, and the losses come out
with their graph; the caller runs backward in the same turn, while the adapters are attached. `losses` follows from the
weights and from what was drawn alone, so that any step can be done again with recorded noise.
"""
from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.data import loading
from lib_trainer.data.dataset import Batch, Sample
from lib_trainer.data.loading import Loaded, Loader
from lib_trainer.host import Conditioning, HostModel
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.loss import noise as noises
from lib_trainer.training.loss import noise_schedule, objective, weighting
from lib_trainer.training.loss.noise import Noise

_LATENT_CHANNELS, _PIXELS_PER_LATENT = 4, 8
"""Of the VAEs of every family."""


@dataclass(frozen=True)
class Inputs:
    """Where batches come from and how they are computed.

    Attributes:
        loader: reads batches from caches and disk.
        text_grad: whether the text encoder's adapters learn.
        autocast: dtype to compute in, None = as the model is.
        without_adapters: while open, the model is as it was before the training; for samples that keep the base.
        act_at: gives every sample (B,) a strength at which the adapters of the U-Net act, until the turn ends.
        objective: what is drawn and learned.
    """

    loader: Loader
    text_grad: bool
    autocast: torch.dtype | None
    without_adapters: Callable[[], AbstractContextManager[object]] = nullcontext
    act_at: Callable[[Tensor | None], None] = lambda strengths: None
    objective: Objective = field(default_factory=lambda: DENOISING)


@dataclass(frozen=True)
class Drawn:
    """A batch with everything that is drawn at random, float32 on the CPU.

    Attributes:
        loaded: the samples with their latents or pixels.
        timesteps: (B,) int64.
        posterior: (B, 4, h, w) normal numbers for the VAE's samples.
        noise: what the latents are noised with.
        strengths: (B,) at which the adapters act on the samples; None = all 1.
    """

    loaded: Loaded
    timesteps: Tensor
    posterior: Tensor
    noise: Noise
    strengths: Tensor | None = None

    @property
    def samples(self) -> Sequence[Sample]:
        """The samples of the batch."""
        return self.loaded.batch.samples


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


def ahead(
    config: TrainConfig, inputs: Inputs, batches: Iterable[tuple[int, Batch]]
) -> Generator[Drawn | None, None, None]:
    """Yields every batch of pairs (epoch, batch) read and drawn, on threads in advance; None for one without samples.

    Nothing depends on when a batch is drawn. Close the generator to end the threads.
    """

    def read(pair: tuple[int, Batch]) -> Drawn | None:
        epoch, batch = pair
        return inputs.objective.draw(config, inputs.loader.load(batch), epoch) if batch.samples else None

    return loading.ahead(batches, read)


def draw(config: TrainConfig, loaded: Loaded, epoch: int) -> Drawn:
    """Draws all that is random in a batch; needs no turn.

    Args:
        config: the settings.
        loaded: the batch.
        epoch: 1-based; the same sample draws other numbers in every epoch.
    """

    def generators(purpose: str) -> list[torch.Generator]:
        return [seeds.torch_generator(config.seed, purpose, epoch, sample.key) for sample in loaded.batch.samples]

    shape = latent_shape(loaded)
    return Drawn(
        loaded, objective.timesteps(generators("timestep"), config.min_timestep, config.max_timestep),
        posterior=noises.normal(shape, generators("posterior")), noise=noises.draw(config, shape, generators),
    )


def latent_shape(loaded: Loaded) -> tuple[int, int, int]:
    """Returns (C, h, w) of the latents of a batch, which are all of one bucket."""
    width, height = loaded.batch.samples[0].placement.bucket
    return _LATENT_CHANNELS, height // _PIXELS_PER_LATENT, width // _PIXELS_PER_LATENT


def losses(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Losses:
    """Returns the losses of every sample.

    Call it inside a turn with the adapters attached, and run backward before the turn ends.
    """
    noised = noise_latents(config, model, drawn)
    cond = (drawn.samples, drawn.loaded.states)
    predicted = predict(config, inputs, model, *cond, noised.noisy, noised.timesteps)
    target = _with_base(config, inputs, model, drawn, noised)
    return compare(config, drawn, noised, predicted, target, masks(model, drawn))


def compare(
    config: TrainConfig, drawn: Drawn, noised: Noised, predicted: Tensor, target: Tensor, mask: Tensor | None
) -> Losses:
    """Returns the losses of predictions, with all weights that the settings ask for.

    Args:
        config: the settings. drawn: the batch, for the weights of its samples. noised: for those of its timesteps.
        predicted, target: (B, 4, h, w).
        mask: where the samples count, (B, 1, h, w); None = everywhere.
    """
    threshold = None
    if config.loss_type in ("huber", "smooth_l1"):
        threshold = objective.huber_threshold(config, noised.alphas, noised.timesteps)
    plain = objective.mean(objective.elements(config.loss_type, predicted, target, threshold), mask)
    weights = _sample_weights(drawn.samples)
    by_timestep = weighting.of_timesteps(config, noised.prediction, noised.alphas)
    weighted = plain if weights is None else plain * weights.to(plain.device)
    return Losses(weighted if by_timestep is None else weighted * by_timestep, plain.detach())


def errors(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Tensor:
    """Returns the mean square error of every sample, (B,) float32 on the model's device: no weights, whatever the loss.

    Call it inside a turn with the adapters attached.
    """
    with torch.no_grad():
        noised = noise_latents(config, model, drawn)
        predicted = predict(config, inputs, model, drawn.samples, drawn.loaded.states, noised.noisy, noised.timesteps)
        return objective.mean(objective.elements("l2", predicted, noised.target), masks(model, drawn))


def said(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Tensor:
    """Returns what the model says of a batch, (B, 4, h, w) without graph; call it as `losses`."""
    with torch.no_grad():
        noised = noise_latents(config, model, drawn)
        return predict(config, inputs, model, drawn.samples, drawn.loaded.states, noised.noisy, noised.timesteps)


def masks(model: HostModel, drawn: Drawn) -> Tensor | None:
    """Returns where the samples count, (B, 1, h, w) on the model's device; None = everywhere."""
    return None if drawn.loaded.masks is None else drawn.loaded.masks.to(model.device)


def noise_latents(config: TrainConfig, model: HostModel, drawn: Drawn) -> Noised:
    """Encodes what is not cached, samples the posterior and noises the latents."""
    device = model.device
    timesteps = drawn.timesteps.to(device)
    prediction, alphas = noise_schedule.for_run(config, model)
    mean, std = drawn.loaded.moments(model)
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
    config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample], states: Conditioning | None,
    noisy: Tensor, timesteps: Tensor,
) -> Tensor:
    """Returns what the model says of noisy latents at their timesteps, (B, 4, h, w), in the precision of the run.

    Args:
        config, inputs, model: of the run.
        samples: B samples, for their captions and sizes.
        states: their cached text states; None = encode the captions.
        noisy: (B, 4, h, w). timesteps: (B,) int64. Both on the model's device.
    """
    autocast = torch.autocast(model.device.type, inputs.autocast) if inputs.autocast else nullcontext()
    with autocast:
        return model.predict(noisy, timesteps, conditioning(config, inputs, model, samples, states))


def conditioning(
    config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample], states: Conditioning | None
) -> Conditioning:
    """Returns what the U-Net is told about samples, on the model's device: captions, and sizes where it knows them."""
    if states is None:
        captions = [sample.caption for sample in samples]
        states = model.encode_captions(
            captions, config.clip_skip, chunks(config), grad=inputs.text_grad, weighted=config.weighted_captions)
    sizes = None
    if model.checkpoint.family.has_size_ids:
        sizes = torch.tensor([sample.size_ids for sample in samples], dtype=torch.float32, device=model.device)
    pooled = None if states.pooled is None else states.pooled.to(model.device)
    return Conditioning(states.hidden.to(model.device), pooled, sizes)


def _with_base(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn, noised: Noised) -> Tensor:
    """Returns the targets; those of samples that keep the base are the model's own prediction without the adapters.

    Differential output preservation: the same noisy latent and caption, adapters of U-Net and text encoder off, one
    forward pass without graph for these samples alone. (The reference trainer gives the untrained U-Net the text states
    of the trained encoder, and on SD 1 and 2 mixes up the samples of a batch.)
    """
    kept = [index for index, sample in enumerate(drawn.samples) if sample.item.subset.keeps_base]
    if not kept:
        return noised.target
    chosen = torch.tensor(kept)
    # A LoRA that is continued may act on the encoder, and was acting when the states were cached.
    states = None if config.continue_from else drawn.loaded.states
    if states is not None:
        states = Conditioning(states.hidden[chosen], None if states.pooled is None else states.pooled[chosen])
    chosen = chosen.to(noised.noisy.device)
    frozen, samples = replace(inputs, text_grad=False), [drawn.samples[index] for index in kept]
    with torch.no_grad(), inputs.without_adapters():
        base = predict(config, frozen, model, samples, states, noised.noisy[chosen], noised.timesteps[chosen])
    return noised.target.index_copy(0, chosen, base.to(noised.target.dtype))


def _sample_weights(samples: Sequence[Sample]) -> Tensor | None:
    """Returns the weight of every sample, its subset's, (B,) on the CPU; None = all 1."""
    weights = [sample.item.subset.loss_weight for sample in samples]
    return torch.tensor(weights) if any(weight != 1.0 for weight in weights) else None


@dataclass(frozen=True)
class Objective:
    """What a micro-batch draws at random, and what it is to learn.

    Attributes:
        draw: as `draw`; needs no turn, and follows from the seed, the epoch and the samples alone.
        losses: as `losses`; called inside a turn with the adapters attached.
        said: as `said`; likewise.
    """

    draw: Callable[[TrainConfig, Loaded, int], Drawn]
    losses: Callable[[TrainConfig, Inputs, HostModel, Drawn], Losses]
    said: Callable[[TrainConfig, Inputs, HostModel, Drawn], Tensor] = said


DENOISING: Objective = Objective(draw, losses)
"""The usual one: to tell the noise (or velocity) of the noised pictures."""
