"""Stage `dataset`: draws the sample dataset for a LoRA.

`train/8_zunko`: the concept with varied backgrounds, eyes, mouths and objects, captions starting with the trigger word
and naming all but the look itself. `reg/1_1girl`: ordinary characters with full captions, so that the look does not
leak into them. `pairs`: the same ordinary scenes with open and with closed eyes, everything else equal to the pixel;
one caption for both, which says nothing of the eyes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lib_trainer.demo import scenes
from tools.demo.settings import ASSETS, PICTURE

SEED = 2024
CONCEPT_PICTURES, ORDINARY_PICTURES, PAIRS = 20, 24, 4


def write(folder: Path = ASSETS / "dataset" / "zunko") -> None:
    """Draw all pictures and write their captions."""
    rng = np.random.default_rng(SEED)
    concept = balanced(CONCEPT_PICTURES, rng, scenes.CONCEPT_LOOK)
    ordinary = balanced(ORDINARY_PICTURES, rng)
    for name, chosen in (("train/8_zunko", concept), ("reg/1_1girl", ordinary)):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        for number, scene in enumerate(chosen, 1):
            scenes.draw(scene, PICTURE, rng).save(target / f"{number:02}.png", optimize=True)
            (target / f"{number:02}.txt").write_text(scenes.caption(scene) + "\n")
    _write_pairs(folder / "pairs", rng)


def _write_pairs(target: Path, rng: np.random.Generator) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(balanced(PAIRS, rng), 1):
        seed = int(rng.integers(2**31))
        for eyes in ("open", "closed"):
            picture = scenes.draw(replace(scene, eyes=eyes), PICTURE, np.random.default_rng(seed))
            picture.save(target / f"{number:02}_{eyes}.png", optimize=True)
        (target / f"{number:02}_open.txt").write_text(scenes.caption_without("eyes", scene) + "\n")


def balanced(count: int, rng: np.random.Generator, look: dict[str, str] | None = None) -> list[scenes.Scene]:
    """Scenes in which every value of an attribute comes up about equally often, but no withheld pair.

    Args:
        count: How many scenes.
        rng: Decides the combinations.
        look: Values that all scenes share, by attribute.
    """
    while True:
        columns = {
            name: rng.permutation(np.resize(rng.permutation(values), count))
            for name, values in scenes.BASE_VALUES.items()
        }
        rows = [
            scenes.Scene(**({name: str(column[i]) for name, column in columns.items()} | (look or {})))
            for i in range(count)
        ]
        if not any(scene.is_withheld for scene in rows):
            return rows
