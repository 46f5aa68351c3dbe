"""What choosing a goal changes in the form.

A goal names only what matters to it. What the goal chosen before it had filled in, and the person has left alone, goes
back to its default: whoever looks at a goal for pairs and then trains a character must not keep the repeats and the
batch of the first. And a goal names settings, not places on a disk: for those that speak of "the sample dataset" the
page adds where it lies, so that whoever chooses one can press Start. A folder of the person's own stays.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.goals import GOALS

SAMPLE = Path(__file__).resolve().parents[1] / "assets" / "demo" / "dataset" / "zunko"
"""Folder of the sample dataset: `train`, `reg` and `pairs`."""

_PICTURES = {"images": str(SAMPLE / "train"), "reg_images": str(SAMPLE / "reg")}
_PAIRS = {"images": str(SAMPLE / "pairs"), "after_images": ""}
_PLACES: dict[str, dict[str, str]] = {"demo": _PICTURES, "demo_slider": _PAIRS, "demo_copiers": _PAIRS}
"""Goal -> where its pictures are."""

_EYES = """1girl, blonde hair, long hair, smile, red shirt, blue background
1girl, black hair, short hair, open mouth, white shirt, outdoors"""
PROMPTS = {
    "demo": """zunko, 1girl, open eyes, smile, blue background
1girl, blonde hair, long hair, open eyes, smile, red shirt, blue background""",
    "demo_slider": _EYES, "demo_copiers": _EYES, "demo_prompts": _EYES,
}
"""Goal -> preview prompts that show what it teaches: of a slider for the eyes, prompts that leave them to chance."""


def changes(goal: str, before: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what choosing a goal changes, by field name.

    Args:
        goal: a key of `GOALS`; "" = none, which changes nothing.
        before: the goal that was chosen until now, or "".
        settings: the form as it is.
    """
    if not goal:
        return {}
    return {**_taken_back(before, settings), **GOALS[goal].changes, **_places(goal, settings),
            **_previews(goal, settings)}


def _taken_back(before: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of what a goal had filled in and nobody has changed since."""
    filled, defaults = GOALS[before].changes if before in GOALS else {}, asdict(TrainConfig())
    return {name: defaults[name] for name, value in filled.items() if str(settings[name]) == str(value)}


def _places(goal: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Where the sample dataset's pictures for a goal lie, unless the form names other pictures."""
    named = str(settings["images"])
    return _PLACES.get(goal, {}) if not named or SAMPLE in Path(named).parents else {}


def _previews(goal: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """The preview prompts for a goal, where the form has those that the page brought for another one."""
    named = settings.get("preview_prompts", "")
    return {"preview_prompts": PROMPTS[goal]} if goal in PROMPTS and named in PROMPTS.values() else {}
