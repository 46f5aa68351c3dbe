"""The sampling loop: noise and what the U-Net is told in, latents out.

Every picture of a batch has its own generator on the CPU, so its noise depends on its seed alone, whatever the batch
size or the device. Classifier-free guidance (Ho & Salimans 2022, eq. 6) runs both halves in one pass.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from lib_trainer.host_model import Conditioning

Predict = Callable[[torch.Tensor, torch.Tensor, Conditioning], torch.Tensor]
"""(latents (N, 4, h, w), timesteps (N,), conditioning of N) -> prediction (N, 4, h, w)."""

Prompts = tuple[Conditioning, Conditioning]
"""What the U-Net is told of one picture: by the prompt, and by the negative prompt."""


class Scheduler(Protocol):
    """What the loop needs of a diffusers scheduler."""

    timesteps: torch.Tensor
    init_noise_sigma: float

    def set_timesteps(self, num_inference_steps: int, device: torch.device) -> None: ...

    def scale_model_input(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor: ...

    @property
    def step(self) -> Callable[..., Any]: ...


def denoise(
    predict: Predict,
    scheduler: Scheduler,
    prompts_at: Callable[[int], Prompts],
    generators: Sequence[torch.Generator],
    *,
    shape: tuple[int, int],
    steps: int,
    cfg: float,
    device: torch.device,
    on_step: Callable[[int, int], bool],
) -> torch.Tensor | None:
    """Returns clean scaled latents (B, 4, h, w) float32 for B generators, None when ended early.

    Args:
        prompts_at: called at the beginning of every step of the sampler, counted from 1, before the model is; what
            acts in that step may be switched on here.
        shape: (h, w) of the latents.
        on_step: called with (done, total) before every model call; False ends the loop early.
    """
    scheduler.set_timesteps(steps, device=device)
    noise = [torch.randn((1, 4, *shape), generator=generator) for generator in generators]
    latents = torch.cat(noise).to(device) * scheduler.init_noise_sigma
    extra = {"generator": list(generators)} if "generator" in inspect.signature(scheduler.step).parameters else {}
    total = len(scheduler.timesteps)
    step = 0
    told: list[Conditioning] = []
    for done, t in enumerate(scheduler.timesteps):
        if not on_step(done, total):
            return None
        if (now := sampler_step(done, total, steps)) != step:
            step = now
            positive, negative = prompts_at(step)
            told = [_joined([part] * len(noise)) for part in ((negative, positive) if cfg != 1 else (positive,))]
        scaled = scheduler.scale_model_input(latents, t)
        guided = _guide(predict, scaled, t, told, cfg)
        latents = scheduler.step(guided, t, latents, **extra).prev_sample
    on_step(total, total)
    return latents


def sampler_step(call: int, calls: int, steps: int) -> int:
    """Returns the step, from 1, to which a call of the model belongs.

    Most samplers call the model once a step. Those of second order (Heun, DPM2) call it twice, but once in the last
    step: 2 * steps - 1 calls. PLMS calls it twice in its first step alone, to have a history: steps + 1 calls.

    Args:
        call: number of the call, from 0. calls: how many there are in all. steps: of the sampler.
    """
    if calls == 2 * steps - 1:
        return call // 2 + 1
    return max(1, call + 1 - (calls - steps))


def _guide(
    predict: Predict, latents: torch.Tensor, t: torch.Tensor, told: Sequence[Conditioning], cfg: float
) -> torch.Tensor:
    """Runs the model for the prompt and the negative prompt; in one pass where their lengths agree."""
    count = len(latents)
    times = t.reshape(1).expand(count * len(told)).to(latents.device)
    if len({part.hidden.shape[1] for part in told}) == 1:
        outputs = predict(torch.cat([latents] * len(told)), times, _joined(told)).float().chunk(len(told))
    else:
        outputs = tuple(predict(latents, times[:count], part).float() for part in told)
    if len(outputs) == 1:
        return outputs[0]
    return outputs[0] + cfg * (outputs[1] - outputs[0])


def _joined(told: Sequence[Conditioning]) -> Conditioning:
    """Returns what is told of several batches as one batch."""
    pooled = [part.pooled for part in told if part.pooled is not None]
    sizes = [part.sizes for part in told if part.sizes is not None]
    return Conditioning(torch.cat([part.hidden for part in told]), torch.cat(pooled) if pooled else None,
                        torch.cat(sizes) if sizes else None)
