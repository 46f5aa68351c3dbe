"""One micro-batch: from samples to the loss of every sample.

What is drawn at random is drawn on the CPU, before the turn, from generators that belong to the run's seed, the
purpose, the epoch and the sample. Inside the turn the latents are noised, the U-Net predicts, and the losses come out
with their graph; the caller runs backward in the same turn, while the adapters are attached. `losses` follows from the
weights and from what was drawn alone, so that any step can be done again with recorded noise.
"""
from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.data import loading
from lib_trainer.data.loading import Loaded
from lib_trainer.data.sample import Batch, Sample
from lib_trainer.host_model import Conditioning, HostModel
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.forward_pass import predict, predict_untouched
from lib_trainer.training.loss import noise as noises
from lib_trainer.training.loss import noise_schedule, objective, weighting
from lib_trainer.training.micro_batch import Drawn, Inputs, Losses, Noised, Objective

_LATENT_CHANNELS, _PIXELS_PER_LATENT = 4, 8
"""Of the VAEs of every family."""


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


def _with_base(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn, noised: Noised) -> Tensor:
    """Returns the targets; those of samples that keep the base are the model's own prediction without the adapters.

    Differential output preservation: the same noisy latent and caption, adapters of U-Net and text encoder off, one
    forward pass without graph for these samples alone. (The reference trainer gives the untrained U-Net the text states
    of the trained encoder, and on SD 1 and 2 mixes up the samples of a batch.)
    """
    kept = [index for index, sample in enumerate(drawn.samples) if sample.item.subset.keeps_base]
    if not kept:
        return noised.target
    samples, chosen = [drawn.samples[index] for index in kept], torch.tensor(kept)
    here = chosen.to(noised.noisy.device)
    base = predict_untouched(config, inputs, model, samples, lambda: _states_of(drawn, chosen), noised.noisy[here],
                             noised.timesteps[here])
    return noised.target.index_copy(0, here, base.to(noised.target.dtype))


def _states_of(drawn: Drawn, chosen: Tensor) -> Conditioning | None:
    """Returns the cached text states of the samples at some places (N,) of a batch, None where they are not cached."""
    states = drawn.loaded.states
    if states is None:
        return None
    return Conditioning(states.hidden[chosen], None if states.pooled is None else states.pooled[chosen])


def _sample_weights(samples: Sequence[Sample]) -> Tensor | None:
    """Returns the weight of every sample, its subset's, (B,) on the CPU; None = all 1."""
    weights = [sample.item.subset.loss_weight for sample in samples]
    return torch.tensor(weights) if any(weight != 1.0 for weight in weights) else None


DENOISING: Objective = Objective(draw, losses, said)
"""The usual one: to tell the noise (or velocity) of the noised pictures."""
