"""LECO and iLECO: a concept is erased, enhanced or turned into another one without pictures.

The model itself is the teacher. With its adapters off it says what it would do under three prompts, and with them on it
learns to say, under the target prompt,

    ε(x, target) <- ε*(x, neutral) + η · (ε*(x, positive) - ε*(x, unconditional))

where * is the model as it was. With η < 0, positive = target and the other two empty this is the negative guidance by
which Gandikota et al. 2023 erase a concept ("Erasing Concepts from Diffusion Models", arXiv:2303.07345, eq. 7); with
η > 0 it is their "Concept Sliders" (arXiv:2311.12092, eq. 7; eq. 8 with words to be kept around all prompts); with
neutral = unconditional = target it is η of the way to another prompt. Models that predict v learn the same sum of what
they say, since both are linear in it.

LECO learns on latents that the model makes by itself: pure noise, denoised part of the way with the adapters acting as
they are by then. iLECO ("instant LECO", the method of TrainTrain) takes pure noise at every timestep instead, which
saves those passes: the target prompt learns what the model says of the other prompt about that noise.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.data.concepts import Concept
from lib_trainer.data.loading import Loaded
from lib_trainer.data.sample import Sample
from lib_trainer.host_model import HostModel
from lib_trainer.training import step
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.forward_pass import predict, predict_untouched
from lib_trainer.training.loss import denoising, noise_schedule, objective
from lib_trainer.training.loss.noise import Noise, normal
from lib_trainer.training.micro_batch import Drawn, Inputs, Losses, Noised, Objective
from lib_trainer.training.settings.method import INSTANT


def draw(config: TrainConfig, loaded: Loaded, epoch: int) -> Drawn:
    """Draws first noise and timesteps of a batch, each from the seed, the epoch and the use of the prompt.

    A batch is denoised together, so LECO's samples share one timestep, that of the first of them.
    """
    samples = loaded.batch.samples
    noise = normal(step.latent_shape(loaded), _generators(config, "noise", epoch, samples))
    drawn = samples if config.method == INSTANT else samples[:1]
    timesteps = objective.timesteps(
        _generators(config, "timestep", epoch, drawn), config.min_timestep, config.max_timestep)
    strengths = torch.tensor([concept_of(sample).strength for sample in samples])
    return Drawn(
        loaded, timesteps.expand(len(samples)), posterior=torch.empty(0), noise=Noise(noise),
        strengths=None if bool((strengths == 1.0).all()) else strengths,
    )


def _generators(config: TrainConfig, purpose: str, epoch: int, samples: Sequence[Sample]) -> list[torch.Generator]:
    return [seeds.torch_generator(config.seed, purpose, epoch, sample.key) for sample in samples]


def concept_of(sample: Sample) -> Concept:
    """Returns the prompts of a sample."""
    concept = sample.item.subset.concept
    if concept is None:
        raise RuntimeError(f"{sample.key} is no prompt.")
    return concept


def losses(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Losses:
    """Returns the losses of every sample; call it inside a turn with the adapters attached."""
    noised = _reached(config, inputs, model, drawn)
    goal = _goal(config, inputs, model, drawn, noised)
    predicted = _predicted(config, inputs, model, drawn, noised)
    return step.compare(config, drawn, noised, predicted, goal, None)


def said(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Tensor:
    """Returns what the model says under the target prompts, (B, 4, h, w), without graph."""
    with torch.no_grad():
        return _predicted(config, inputs, model, drawn, _reached(config, inputs, model, drawn))


def _predicted(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn, noised: Noised) -> Tensor:
    _act(inputs, model, drawn)
    return predict(config, inputs, model, drawn.samples, drawn.loaded.states, noised.noisy, noised.timesteps)


def _act(inputs: Inputs, model: HostModel, drawn: Drawn) -> None:
    """Lets the adapters act at the strengths of the batch until the turn ends."""
    inputs.act_at(None if drawn.strengths is None else drawn.strengths.to(model.device))


def _reached(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Noised:
    """Returns the latents of the batch at its timesteps: pure noise, or denoised so far with the adapters acting."""
    prediction, alphas = noise_schedule.for_run(config, model)
    latents, timesteps = drawn.noise.base.to(model.device), drawn.timesteps.to(model.device)
    if config.method != INSTANT:
        way = denoising.path(int(drawn.timesteps[0]), config.denoising_steps)
        teller = _Teller(config, inputs, model, drawn)
        with torch.no_grad():
            latents = denoising.denoised(latents, way, alphas, prediction, teller.guided)
    return Noised(prediction, noisy=latents, target=latents, timesteps=timesteps, alphas=alphas[timesteps])


def _goal(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn, noised: Noised) -> Tensor:
    """Returns what the model shall say, (B, 4, h, w) float32: the sum of what it says without the adapters."""
    concepts = [concept_of(sample) for sample in drawn.samples]
    guidance = torch.tensor([one.guidance for one in concepts], device=model.device).view(-1, 1, 1, 1)

    def told(prompts: list[str]) -> Tensor:
        return predict_untouched(config, inputs, model, _under(drawn.samples, prompts),
                                 lambda: inputs.loader.states(prompts), noised.noisy, noised.timesteps).float()

    positive = told([one.positive for one in concepts])
    from_neutral = all(one.unconditional == one.neutral for one in concepts)
    if from_neutral and all(one.guidance == 1.0 for one in concepts):
        return positive  # what is added and taken away again need not be asked
    neutral = told([one.neutral for one in concepts])
    away_from = neutral if from_neutral else told([one.unconditional for one in concepts])
    return neutral + guidance * (positive - away_from)


def _under(samples: Sequence[Sample], prompts: Sequence[str]) -> list[Sample]:
    """Returns the samples with these prompts as their captions."""
    return [replace(sample, caption=prompt) for sample, prompt in zip(samples, prompts, strict=True)]


@dataclass(frozen=True)
class _Teller:
    """What the model says of latents under prompts with the adapters acting; call it without graph."""

    config: TrainConfig
    inputs: Inputs
    model: HostModel
    drawn: Drawn

    def tell(self, prompts: Sequence[str], latents: Tensor, timesteps: Tensor) -> Tensor:
        """Returns what it says, (B, 4, h, w)."""
        _act(self.inputs, self.model, self.drawn)
        frozen, samples = replace(self.inputs, text_grad=False), _under(self.drawn.samples, prompts)
        states = self.inputs.loader.states(prompts)
        return predict(self.config, frozen, self.model, samples, states, latents, timesteps)

    def guided(self, latents: Tensor, timestep: int) -> Tensor:
        """Returns what it says under the target prompts with classifier-free guidance (Ho & Salimans 2022, eq. 6)."""
        timesteps = torch.full((latents.shape[0],), timestep, device=latents.device)
        targets = [concept_of(sample).target for sample in self.drawn.samples]
        conditional = self.tell(targets, latents, timesteps)
        if self.config.denoising_guidance == 1.0:
            return conditional
        empty = self.tell([""] * len(targets), latents, timesteps)
        return empty + self.config.denoising_guidance * (conditional - empty)


LECO: Objective = Objective(draw, losses, said)
"""What both methods draw and learn."""
