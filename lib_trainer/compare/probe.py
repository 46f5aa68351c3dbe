"""The quick analysis: how much every block of a LoRA changes what the U-Net predicts, without drawing a picture.

A few noisy latents are made once, and the same predictions are asked for again and again: with the whole LoRA, without
it, without one group of blocks, with that group alone. The effect of a group is the mean of what is lost without it and
what it does alone, each relative to the LoRA's whole change (Euclidean norms; every latent counts alike): the first and
the last term of the group's Shapley value, for two predictions instead of one for every subset of blocks.

Noisy latents come from encoded pictures, where there are some, else from a short deterministic sampling (DDIM, Song et
al. 2021, eq. 12 with eta = 0) with the whole LoRA: the U-Net then sees what it sees while it draws this prompt. All
latents go through the U-Net in one pass; every pass is a turn of its own, so a generation gets in between.
"""
from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.blocks.layouts import BASE
from lib_trainer.compare.subject import Subject
from lib_trainer.errors import UserError
from lib_trainer.host import Lease
from lib_trainer.host_model import Conditioning, HostModel, Target
from lib_trainer.lora import file as lora_file
from lib_trainer.lora import loaded
from lib_trainer.lora.loaded import LoadedNetwork

_SCHEDULE = 1000
"""Steps of the noise schedule."""

_AT_ONCE = 8 * 64 * 64
"""Latent pixels that go through the U-Net together, at most: as much memory as drawing 8 pictures of 512 px."""

Ratios = Mapping[str, float]


@dataclass(frozen=True)
class Look:
    """What is looked at.

    Attributes:
        timesteps: how many, evenly spread over the schedule. noises: noisy latents at each of them.
        seed: of the noise.
        clip_skip: as in `HostModel.encode_captions`.
        pictures: (N, 3, H, W) float32 in [-1, 1], encoded and noised instead of the sampled latents; H and W multiples
            of 8; they take the noises in turn. None = sampled.
    """

    timesteps: int = 4
    noises: int = 2
    seed: int = 1
    clip_skip: int = 1
    pictures: Tensor | None = None

    @property
    def times(self) -> list[int]:
        """The timesteps, the noisiest first: the middles of equal parts of the schedule."""
        part = _SCHEDULE / self.timesteps
        return [int((place + 0.5) * part) for place in reversed(range(self.timesteps))]


class Probe:
    """Predictions under changing block weights; the same weights always give the same prediction.

    Attributes:
        predictions: how many were asked for. seconds: what the last one took, its turn's waiting not counted.
        checkpoint: name of the model's. told: sentences about what of the file does not act.
    """

    def __init__(self, lease: Lease, subject: Subject, look: Look) -> None:
        """Reads the LoRA and makes the noisy latents; takes one turn.

        Raises:
            UserError: the LoRA does not fit the model. ModelChanged: the host's model is another one now.
        """
        self.predictions, self.seconds = 0, 0.0
        self._lease, self._subject, self._look = lease, subject, look
        self._told: dict[tuple[float, float] | None, Conditioning] = {}
        self._network: LoadedNetwork | None = None
        tensors = lora_file.load(subject.file).tensors
        with lease.turn() as model, torch.no_grad():
            self.checkpoint = model.checkpoint.name
            self._network, unmatched = loaded.from_state(_layers(model), tensors)
            self._network.to(model.device, model.compute_dtype)
            self.told = _idle(unmatched, len(tensors))
            with self._acting(model, {}):
                self._noisy, self._times = self._latents(model)

    def predict(self, ratios: Ratios | None) -> Tensor:
        """Returns the predictions (B, 4, h, w) float32, on the model's device.

        Args:
            ratios: the weight of every block; {} = all 1. None = without the LoRA.

        Raises:
            ModelChanged: the host's model is another one now.
        """
        with self._lease.turn() as model, torch.no_grad():
            begun = time.perf_counter()
            with self._acting(model, ratios):
                said = self._pass(model, self._noisy, self._times, self._conditioning(model, ratios))
            if said.is_cuda:
                torch.cuda.synchronize(said.device)  # the seconds are told to the person, and Stop must not lag behind
            self.seconds = time.perf_counter() - begun
        self.predictions += 1
        return said

    @contextmanager
    def _acting(self, model: HostModel, ratios: Ratios | None) -> Iterator[None]:
        """Attaches the LoRA with these block weights while open."""
        if ratios is None or self._network is None:
            yield
            return
        layers = list(self._network.layers)
        with self._network.attached(_layers(model), self._subject.multipliers(ratios or None, layers)):
            yield

    def _conditioning(self, model: HostModel, ratios: Ratios | None) -> Conditioning:
        """Returns the prompt's text states (1, T, C), encoded once for every weight of the text encoder's layers."""
        te = None if ratios is None else (self._subject.strengths.te, ratios.get(BASE, 1.0))
        if te not in self._told:
            self._told[te] = model.encode_captions([self._subject.caption], self._look.clip_skip)
        return self._told[te]

    def _latents(self, model: HostModel) -> tuple[Tensor, Tensor]:
        """Returns noisy latents (B, 4, h, w) float32 and their timesteps (B,) on the model's device."""
        alphas = model.alphas_cumprod.to(model.device)
        times = torch.tensor(self._look.times, device=model.device)
        if self._look.pictures is not None:
            return self._noised(model, self._look.pictures, alphas, times)
        side = model.checkpoint.resolution // 8
        noisy = self._noise((4, side, side)).to(model.device)
        seen = []
        for place, now in enumerate(times):
            seen.append(noisy)
            if place + 1 < len(times):
                said = self._pass(model, noisy, now.expand(len(noisy)), self._conditioning(model, {}))
                clean, noise = split(model.checkpoint.prediction, noisy, said, alphas[now])
                noisy = mixed(clean, noise, alphas[times[place + 1]])
        return torch.cat(seen), times.repeat_interleave(self._look.noises)

    def _noised(self, model: HostModel, pictures: Tensor, alphas: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        mean, _ = model.encode_images(pictures)
        if not bool(mean.isfinite().all()):
            raise UserError(f"The VAE of '{model.checkpoint.name}' gives no numbers (NaN) for these pictures: choose "
                            "another VAE, or analyze without pictures.")
        clean = mean.to(model.device).float() * model.checkpoint.family.latent_scale
        count = self._look.noises
        clean = clean[torch.arange(count, device=clean.device) % len(clean)]
        noise = self._noise(clean.shape[1:]).to(model.device)
        return torch.cat([mixed(clean, noise, alphas[now]) for now in times]), times.repeat_interleave(count)

    def _noise(self, shape: Sequence[int]) -> Tensor:
        """Returns the noise (N, 4, h, w) of the seed, from the CPU: every device gets the same."""
        return torch.stack([
            torch.randn(*shape, generator=seeds.torch_generator(self._look.seed, "probe", number))
            for number in range(self._look.noises)
        ])

    def _pass(self, model: HostModel, noisy: Tensor, times: Tensor, told: Conditioning) -> Tensor:
        """Runs the U-Net over latents (B, 4, h, w), in pieces where they are too many for a small GPU."""
        at_once = max(1, _AT_ONCE // (noisy.shape[-1] * noisy.shape[-2]))
        pieces = zip(noisy.split(at_once), times.split(at_once), strict=True)
        return torch.cat([model.predict(some, then, _of_all(model, told, some)).float() for some, then in pieces])


def _layers(model: HostModel) -> list[Target]:
    """Every layer of the model that a LoRA file may change."""
    return [*model.targets(), *model.other_targets()]


def split(prediction: str, noisy: Tensor, said: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the clean latents and the noise that a prediction means.

    With noisy = √ᾱ·clean + √(1-ᾱ)·noise; v = √ᾱ·noise - √(1-ᾱ)·clean (Salimans & Ho 2022, appendix D).

    Args:
        prediction: "epsilon" or "v". noisy, said: (B, 4, h, w). alpha: ᾱ, a number in (0, 1).
    """
    signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
    if prediction == "v":
        return signal * noisy - sigma * said, sigma * noisy + signal * said
    return (noisy - sigma * said) / signal, said


def mixed(clean: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
    """Returns √ᾱ·clean + √(1-ᾱ)·noise."""
    return alpha.sqrt() * clean + (1 - alpha).sqrt() * noise


def _idle(unmatched: Sequence[str], count: int) -> list[str]:
    return [f"{len(unmatched)} of the LoRA's {count} tensors (such as '{unmatched[0]}') do not act in the quick "
            "analysis: they belong to layers that cannot be trained here."] if unmatched else []


def _of_all(model: HostModel, told: Conditioning, noisy: Tensor) -> Conditioning:
    """Returns the conditioning of one prompt for a whole batch; SDXL is told an uncropped picture of this size."""
    count, sizes = len(noisy), None
    if model.checkpoint.family.has_size_ids:
        height, width = (8 * side for side in noisy.shape[-2:])
        sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32, device=model.device)
        sizes = sizes.expand(count, -1)
    pooled = None if told.pooled is None else told.pooled.to(model.device).expand(count, -1)
    return Conditioning(told.hidden.to(model.device).expand(count, -1, -1), pooled, sizes)
