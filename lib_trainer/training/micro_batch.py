"""What a micro-batch passes through, from what is drawn to its losses, and what a method may put in its place.

Drawn on the CPU before the turn (`Drawn`), noised on the model's device (`Noised`), compared (`Losses`). How it is
computed is the run's (`Inputs`); what is drawn and learned is the method's (`Objective`).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer.data.loading import Loaded, Loader
from lib_trainer.data.sample import Sample
from lib_trainer.host_model import HostModel
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.loss.noise import Noise


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
class Inputs:
    """Where batches come from and how they are computed.

    Attributes:
        loader: reads batches from caches and disk.
        text_grad: whether the text encoder's adapters learn.
        autocast: dtype to compute in, None = as the model is.
        objective: what is drawn and learned.
        without_adapters: while open, the model is as it was before the training; for samples that keep the base.
        act_at: gives every sample (B,) a strength at which the adapters of the U-Net act, until the turn ends.
    """

    loader: Loader
    text_grad: bool
    autocast: torch.dtype | None
    objective: Objective
    without_adapters: Callable[[], AbstractContextManager[object]] = nullcontext
    act_at: Callable[[Tensor | None], None] = lambda strengths: None


@dataclass(frozen=True)
class Objective:
    """What a micro-batch draws at random, and what it is to learn.

    Attributes:
        draw: as `step.draw`; needs no turn, and follows from the seed, the epoch and the samples alone.
        losses: as `step.losses`; called inside a turn with the adapters attached.
        said: as `step.said`; likewise.
    """

    draw: Callable[[TrainConfig, Loaded, int], Drawn]
    losses: Callable[[TrainConfig, Inputs, HostModel, Drawn], Losses]
    said: Callable[[TrainConfig, Inputs, HostModel, Drawn], Tensor]
