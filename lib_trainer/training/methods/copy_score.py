"""The copy score: how far a copier's samples are on the way from what the model draws by itself to the picture.

A copier is a LoRA that is overfitted on purpose, so its loss says little: what counts is whether it draws its picture
at any seed. The samples of the training prompt are compared with the picture as it was trained (scaled and cropped),
both shrunk to at most 64 pixels, so that texture which no autoencoder gives back does not count. With d the mean square
difference of pixels, the score is 1 - d(samples) / d(samples of the untouched model): 0 = no nearer than the model by
itself, 1 = the picture, below 0 = farther away. (It is the coefficient of determination, with the model in the place
of the mean.)
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lib_trainer.data.picture_rules import Look
from lib_trainer.data.pictures import load_picture
from lib_trainer.data.sample import Placed

Pixels = npt.NDArray[np.float32]

SIDE = 64
"""Pixels of the longer side at which pictures are compared."""


def small(image: Image.Image) -> Pixels:
    """Returns a picture as it is compared, (h, w, 3) in [0, 1]."""
    shrunk = image.convert("RGB")
    shrunk.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(shrunk, dtype=np.float32) / 255.0


def trained(picture: Placed) -> Pixels:
    """Returns a picture as it is trained, (h, w, 3) in [0, 1], as it is compared.

    Raises:
        UnreadablePicture: it cannot be read.
    """
    tensor, _ = load_picture(picture.item.path, Look(picture.placement), picture.item.subset.pictures)
    pixels = ((tensor.permute(1, 2, 0).numpy() + 1.0) * 127.5).round().clip(0, 255).astype(np.uint8)
    return small(Image.fromarray(pixels))


def distance(sample: Pixels, picture: Pixels, weights: Pixels | None = None) -> float:
    """Returns the mean square difference of two pictures, 0..1.

    Args:
        sample, picture: (h, w, 3) in [0, 1]; a sample of another size is brought to that of the picture.
        weights: (h, w, 1) with mean 1, where it counts; None = everywhere.
    """
    squares = (_as_big_as(picture, sample) - picture) ** 2
    return float(np.mean(squares if weights is None else squares * weights))


def _as_big_as(picture: Pixels, other: Pixels) -> Pixels:
    """Returns the other picture in the size of the first."""
    if other.shape == picture.shape:
        return other
    image = Image.fromarray((other * 255.0).round().astype(np.uint8))
    resized = image.resize((picture.shape[1], picture.shape[0]), Image.Resampling.BOX)
    return np.asarray(resized, dtype=np.float32) / 255.0


def where_they_differ(picture: Pixels, other: Pixels) -> Pixels:
    """Returns weights (h, w, 1) of mean 1 that count where a picture differs from another; alike ones: everywhere."""
    squares = ((picture - _as_big_as(picture, other)) ** 2).mean(axis=2, keepdims=True)
    mean = float(squares.mean())
    return squares / mean if mean > 0.0 else np.ones_like(squares)


@dataclass(frozen=True)
class Aim:
    """What is to be drawn for one caption: one of its pictures.

    Attributes:
        name: of the first picture's file. pictures: each as it is compared.
        weights: of each, where it counts; None = everywhere.
    """

    name: str
    pictures: Sequence[Pixels]
    weights: Sequence[Pixels | None]

    def distance(self, samples: Sequence[Pixels]) -> float:
        """Returns the mean distance of samples to the nearest of the pictures: any of them is a copy."""
        nearest = [min(distance(sample, picture, weights)
                       for picture, weights in zip(self.pictures, self.weights, strict=True)) for sample in samples]
        return sum(nearest) / len(nearest)


def scores(now: Mapping[str, float], untouched: Mapping[str, float]) -> dict[str, float]:
    """Returns the score of every caption that has both distances.

    Args:
        now: distances of the samples. untouched: those of the untouched model's samples; 0 = it draws the picture.
    """
    return {name: 1.0 - now[name] / untouched[name] if untouched[name] > 0.0 else 1.0 for name in now
            if name in untouched}
