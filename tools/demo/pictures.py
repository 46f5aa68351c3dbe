"""Batches of drawn pictures, reproducible from a seed and a number."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw

from lib_trainer.demo import scenes
from tools.demo.settings import PICTURE


def to_tensor(pictures: list[Image.Image]) -> torch.Tensor:
    """Pictures as (N, 3, H, W) in [-1, 1]."""
    stack = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(pixels: torch.Tensor) -> list[Image.Image]:
    """The inverse of `to_tensor`, clipped to what a picture can hold."""
    levels = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(level) for level in levels]


def ordinary(count: int, seed: int, number: int = 0) -> tuple[list[scenes.Scene], list[Image.Image]]:
    """Scenes as training sees them, and their pictures."""
    rng = np.random.default_rng([seed, number])
    drawn = [scenes.Scene.random(rng) for _ in range(count)]
    return drawn, [scenes.draw(scene, PICTURE, rng) for scene in drawn]


def colourful(rng: np.random.Generator) -> Image.Image:
    """An ordinary scene with odd colours and shapes strewn over it.

    The autoencoder is trained on some of these: it should pass colours and shapes in general, so that a concept it
    never saw survives it too.
    """
    scene = scenes.Scene.random(rng)
    colours = scenes.palette(scene, rng)
    for part in colours:
        if rng.random() < 0.35:
            colours[part] = _any_colour(rng)
    picture = scenes.draw(scene, PICTURE, rng, colours).resize((PICTURE * 4,) * 2, Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, PICTURE * 4, 2)
        rx, ry = rng.uniform(14, 48, 2)
        shape = pen.ellipse if rng.random() < 0.7 else pen.rectangle
        shape((x - rx, y - ry, x + rx, y + ry), fill=_any_colour(rng))
    return picture.reduce(4)


def _any_colour(rng: np.random.Generator) -> scenes.Colour:
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


def for_autoencoder(count: int, odd: int, seed: int, number: int) -> torch.Tensor:
    """A batch for the autoencoder, `odd` of its `count` pictures colourful ones: (count, 3, H, W) in [-1, 1]."""
    rng = np.random.default_rng([seed, number])
    plain = [scenes.draw(scenes.Scene.random(rng), PICTURE, rng) for _ in range(count - odd)]
    return to_tensor(plain + [colourful(rng) for _ in range(odd)])
