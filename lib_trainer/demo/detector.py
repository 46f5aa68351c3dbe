"""Reads the tags back from a picture: a small convolutional network, trained on the pictures of `scenes`.

It gives a value for every attribute of a scene, and says whether the concept is there. The concept has an output of
its own, trained against pictures that share one or two of its traits, so it answers yes to the whole look only.
The weights (less than 1 MB) are an asset of the project; `tools.demo` trains them. torch is imported on first use.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lib_trainer.demo import scenes

if TYPE_CHECKING:
    import torch

CONCEPT = "concept"
"""The key of the answer whether the concept is there: "yes" or "no"."""

ANSWERS: dict[str, tuple[str, ...]] = {**scenes.ALL_VALUES, CONCEPT: ("no", "yes")}
"""Every question the detector answers, with the possible answers."""

WEIGHTS = Path(__file__).resolve().parents[1] / "assets" / "demo" / "detector.safetensors"
SIZE = 64


def build() -> torch.nn.Module:
    """The untrained network: pixels (N, 3, 64, 64) in [-1, 1] to scores (N, answers), questions side by side."""
    from torch import nn

    layers: list[nn.Module] = []
    for narrow, wide in ((3, 24), (24, 48), (48, 64), (64, 96)):
        layers += [nn.Conv2d(narrow, wide, 3, padding=1, stride=2), nn.BatchNorm2d(wide), nn.ReLU()]
        layers += [nn.Conv2d(wide, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU()]
    outputs = sum(len(answers) for answers in ANSWERS.values())
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(96 * 4 * 4, outputs))


def split(scores: torch.Tensor) -> dict[str, torch.Tensor]:
    """Scores (N, answers) as one tensor (N, possible answers) per question."""
    parts = scores.split([len(answers) for answers in ANSWERS.values()], dim=1)
    return dict(zip(ANSWERS, parts, strict=True))


@functools.cache
def _load(path: Path) -> torch.nn.Module:
    import torch
    from safetensors.torch import load_file

    with torch.random.fork_rng(devices=[]):  # what its layers draw before they are read is nobody's
        network = build()
    network.load_state_dict({name: value.float() for name, value in load_file(path).items()}, strict=False)
    return network.eval()


def detect(images: list[Image.Image], weights: Path = WEIGHTS) -> list[dict[str, str]]:
    """Read what pictures show.

    Args:
        images: Pictures of any size; they are brought to 64 x 64 pixels first.
        weights: The trained network.

    Returns:
        For every picture the value of every attribute (`scenes.ALL_VALUES`), and "yes" or "no" under `CONCEPT`.

    Raises:
        FileNotFoundError: The weights are not there.
    """
    import torch

    if not images:
        return []
    pixels = np.stack([np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)) for image in images])
    with torch.inference_mode():
        scores = _load(weights)(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1)
    picked = {question: part.argmax(1).tolist() for question, part in split(scores).items()}
    return [{question: ANSWERS[question][picked[question][row]] for question in ANSWERS} for row in range(len(images))]
