"""Stage `evaluate`: does the checkpoint draw what is asked? The detector reads what it drew.

A fifth of the captions ask for a hair-and-background pair that training never showed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from lib_trainer.demo import detector, scenes
from tools.demo import sampling
from tools.demo.settings import PICTURE

Rates = dict[str, dict[str, float]]


def asked(count: int, seed: int) -> list[scenes.Scene]:
    """Scenes to ask for, every fifth of them withheld from training."""
    rng = np.random.default_rng(seed)
    return [
        scenes.Scene.random_withheld(rng) if number % 5 == 4 else scenes.Scene.random(rng) for number in range(count)
    ]


def score(wanted: list[scenes.Scene], found: list[dict[str, str]]) -> Rates:
    """Share of pictures in which each attribute is as asked: over all, seen and withheld scenes."""
    groups = {"all": list(range(len(wanted)))}
    groups |= {
        name: [i for i, scene in enumerate(wanted) if scene.is_withheld == withheld]
        for name, withheld in (("seen", False), ("withheld", True))
    }
    return {
        group: {
            name: round(float(np.mean([found[i][name] == getattr(wanted[i], name) for i in chosen])), 3)
            for name in scenes.BASE_VALUES
        }
        | {"concept": round(float(np.mean([found[i][detector.CONCEPT] == "yes" for i in chosen])), 3)}
        for group, chosen in groups.items()
    }


def run(
    work: Path,
    weights: Path = detector.WEIGHTS,
    count: int = 200,
    steps: int = 20,
    guidance: float = 5.0,
    seed: int = 1,
) -> Rates:
    """Generate, read, and write rates and a sheet of pictures into the work folder."""
    wanted = asked(count, seed)
    networks = sampling.load(work)
    made = sampling.generate(networks, [scenes.caption(scene) for scene in wanted], seed * 1000, steps, guidance)
    rates = score(wanted, detector.detect(made, weights))
    name = f"evaluate_{guidance:g}_{steps}"
    (work / f"{name}.json").write_text(json.dumps(rates, indent=1))
    sheet(made[:60]).save(work / f"{name}.png")
    return rates


def sheet(shown: list[Image.Image], columns: int = 12) -> Image.Image:
    """Pictures side by side in rows."""
    rows = -(-len(shown) // columns)
    canvas = Image.new("RGB", (columns * PICTURE, rows * PICTURE))
    for number, picture in enumerate(shown):
        canvas.paste(picture, (number % columns * PICTURE, number // columns * PICTURE))
    return canvas
