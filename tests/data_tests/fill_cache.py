"""Fills a cache as a program of its own, which kills itself at a chosen call: `FOLDER PICTURES CALL NUMBER`.

CALL is a function of `os` (fsync: written but not named yet; replace: just before it gets its name), NUMBER which of
its calls is the last thing the program does; 0 = none.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.caches.latent_cache import LatentCache
from lib_trainer.data.caches.text_cache import TextCache
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.plan import Plan
from lib_trainer.data.scanning.scan import scan
from lib_trainer.data.subsets import Subset
from lib_trainer.host_model import Conditioning

KILLED = 137


class Model:
    """The part of a model that caching uses; also its own turn."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.encoded = 0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held."""

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.encoded += len(pixels)
        return F.avg_pool2d(pixels, 8), F.avg_pool2d(pixels, 8).abs()

    def encode_captions(self, captions: list[str], **how: Any) -> Conditioning:
        self.encoded += len(captions)
        numbers = torch.tensor([[float(len(text))] for text in captions])
        return Conditioning(numbers[:, None].expand(-1, 77, -1), numbers)


def plan(pictures: Path) -> Plan:
    """The plan of a folder of pictures, mirrored and with alpha masks."""
    rules = PictureRules(flip=True, alpha_mask=True)
    return Plan([Dataset(scan(pictures, subset=Subset("", pictures=rules)).items, Buckets(64, 64, 64))], seed=1)


def fill(folder: Path, planned: Plan) -> tuple[LatentCache, TextCache, int]:
    """Fills both caches; returns them and how much had to be encoded."""
    model = Model()
    latents = LatentCache(1, folder=folder / "latents", vae="tiny")
    texts = TextCache(folder=folder / "captions", encoder="tiny")
    list(latents.fill(planned.pictures, lambda: model))
    list(texts.fill(planned.captions, lambda: model, batch_size=1))
    return latents, texts, model.encoded


def deadly(call: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Returns a function that ends the program at its `number`th call, as SIGKILL or a power cut would."""
    calls = 0

    def called(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os._exit(KILLED)
        return call(*arguments)

    return called


if __name__ == "__main__":
    folder, pictures, name, number = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    setattr(os, name, deadly(getattr(os, name), number))
    fill(folder, plan(pictures))
