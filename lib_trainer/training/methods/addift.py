"""ADDifT: the difference of two pictures is learned directly, in tens of steps, without copiers in between.

The method is hako-mikan's ("Alternating Direct Difference Training", sd-webui-traintrain, 2025; several pairs at once
are called Multi-ADDifT there); the formula here is written down from what it does. With A the first and B the second
picture of a pair, z_t(A) and z_t(B) both noised with the same noise at the same timestep, ε_θ the model as it is, and
ε_θ+sΔ the model with the adapters at strength s, one use of a pair asks for

    s = +m:   ε_θ+mΔ(z_t(B), c_B) = ε_θ(z_t(A), c_A)          and the next one for
    s = -m:   ε_θ-mΔ(z_t(A), c_A) = ε_θ(z_t(B), c_B),         by turns; the loss is the squared error.

Why that is the difference: with x̂0(z) = (z - √(1-ᾱ)·ε(z)) / √ᾱ, the picture that a prediction stands for, the first
line says x̂0_+mΔ(z_t(B)) = x̂0(z_t(A)) + B - A. Where there is much noise both x̂0 of the model are the same blur, so the
adapters add B - A to what the model would draw; taken away at -m, so that a slider comes out whose two ends mirror each
other. Where there is little noise x̂0(z_t(A)) is A itself, only the manner in which the model draws B differently from A
is left, and that is learned: hence 500-1000 for things and 200-400 for styles.

For models that predict v the same equation of x̂0 needs a term more: v_θ(z_t(A)) - √(1-ᾱ)·(B - A). Both cases are
f_θ(z_t(A)) + y(B) - y(A) with y the usual target (noise or velocity): with the adapters the model errs about B as it
errs about A without them. (The peer compares the v as they are, which asks for ᾱ·(B - A): nearly nothing in noise.)

Other differences on purpose: a caption stays with its picture in both directions (the peer's stay in place while the
pictures change sides, and those of several pairs are never read); the model is told sizes in pixels; m is a setting
(the peer's is 0.25: the file at strength 1 then does four times what one pair asks for). As there, timesteps go through
fifths of the window in turn, which is worth much in thirty steps. Both directions of a use see the same noise, so what
does not depend on the sign cancels in the sum of their gradients.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.data.loading import Loaded
from lib_trainer.data.sample import Sample
from lib_trainer.host_model import Conditioning, HostModel
from lib_trainer.training import step
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.forward_pass import predict, predict_untouched
from lib_trainer.training.loss import noise as noises
from lib_trainer.training.micro_batch import Drawn, Inputs, Losses, Objective

_PARTS = 5
"""Parts of the window of timesteps that are gone through in turn."""


def draw(config: TrainConfig, loaded: Loaded, epoch: int) -> Drawn:
    """Draws all that is random in a batch of pairs; as `step.draw`, but both directions of a pair draw the same."""
    turns = [_turn(config, sample, epoch) for sample in loaded.batch.samples]

    def generators(purpose: str) -> list[torch.Generator]:
        return [seeds.torch_generator(config.seed, f"pair {purpose}", sample.item.key, number // 2)
                for sample, number in zip(loaded.batch.samples, turns, strict=True)]

    shape = step.latent_shape(loaded)
    return Drawn(
        loaded, _timesteps(config, [number // 2 % _PARTS for number in turns], generators("timestep")),
        posterior=noises.normal(shape, generators("posterior")), noise=noises.draw(config, shape, generators),
        strengths=torch.tensor([(-1.0) ** number * config.difference_strength for number in turns]),
    )


def _turn(config: TrainConfig, sample: Sample, epoch: int) -> int:
    """Returns the number of a pair's use in the run; pairs begin apart, so that a batch has both directions."""
    begin = seeds.python(config.seed, "pair begins", sample.item.key).randrange(2 * _PARTS)
    return begin + (epoch - 1) * sample.item.repeats + sample.repeat_index


def _timesteps(config: TrainConfig, parts: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
    """Draws a timestep per sample, (B,) int64, uniform in its part (0.._PARTS - 1) of the window."""
    first, span = config.min_timestep, config.max_timestep - config.min_timestep
    drawn = []
    for part, generator in zip(parts, generators, strict=True):
        low = first + span * part // _PARTS
        high = max(low + 1, first + span * (part + 1) // _PARTS)
        drawn.append(torch.randint(low, high, (1,), generator=generator))
    return torch.cat(drawn)


def losses(config: TrainConfig, inputs: Inputs, model: HostModel, drawn: Drawn) -> Losses:
    """Returns the losses of every pair; see the module for the equation, and `step.losses` for when to call it."""
    if drawn.loaded.partners is None or drawn.strengths is None:
        raise RuntimeError("ADDifT needs pairs.")
    strengths = drawn.strengths.to(model.device)
    first, second = drawn.loaded, drawn.loaded.partners
    noised = step.noise_latents(config, model, drawn)
    partners = step.noise_latents(config, model, replace(drawn, loaded=second))
    forward = drawn.strengths > 0
    is_second = forward.to(model.device).view(-1, 1, 1, 1)
    seen, other = (torch.where(flag, partners.noisy, noised.noisy) for flag in (is_second, ~is_second))
    shift = torch.where(is_second, partners.target - noised.target, noised.target - partners.target)
    samples, states = _of(first, second, ~forward)
    base = predict_untouched(config, inputs, model, samples, lambda: states, other, noised.timesteps)
    inputs.act_at(strengths)
    predicted = predict(config, inputs, model, *_of(first, second, forward), seen, noised.timesteps)
    return step.compare(config, drawn, noised, predicted, base.float() + shift, _masks(model, first, second))


def _of(first: Loaded, second: Loaded, is_second: Tensor) -> tuple[list[Sample], Conditioning | None]:
    """Returns the samples of one side or the other and their cached text states, as `is_second` (B,) says."""
    flags = is_second.tolist()
    samples = [b if flag else a for a, b, flag in zip(first.batch.samples, second.batch.samples, flags, strict=True)]
    if first.states is None or second.states is None:
        return samples, None
    one, two = first.states, second.states
    if one.hidden.shape != two.hidden.shape:
        raise RuntimeError(f"Text states {tuple(one.hidden.shape)} and {tuple(two.hidden.shape)} of one batch.")
    hidden = torch.where(is_second.view(-1, 1, 1), two.hidden, one.hidden)
    if one.pooled is None or two.pooled is None:
        return samples, Conditioning(hidden, None)
    return samples, Conditioning(hidden, torch.where(is_second.view(-1, 1), two.pooled, one.pooled))


def _masks(model: HostModel, first: Loaded, second: Loaded) -> Tensor | None:
    """Returns where both pictures count, (B, 1, h, w); None = everywhere."""
    if first.masks is None or second.masks is None:
        return None
    return (first.masks * second.masks).to(model.device)


ADDIFT = Objective(draw, losses, step.said)
"""What ADDifT draws and learns."""
