"""By which method is trained, and what only one of them asks for."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.concepts import PROMPTS
from lib_trainer.training.settings.declare import setting

METHODS = ("lora", "addift", "leco", "ileco")
"""Names of the methods; what they do is in `training/methods/registry.py`."""

INSTANT = "ileco"
"""The method that takes pure noise for the latents of every timestep."""

PAIRS = "Pairs"
"""The part of the fold that is for pairs of pictures."""

NEEDS: dict[str, str] = {"lora": "pictures", "addift": "pairs", "leco": "prompts", "ileco": "prompts"}
"""What a method learns from: "pictures", "pairs" of them, or "prompts"."""

PARTS: dict[str, tuple[str, ...]] = {"lora": (), "addift": (PAIRS,), "leco": (PROMPTS,), "ileco": (PROMPTS,)}
"""The parts of the fold that belong to a method; those of other methods do nothing in it."""


PROMPTED = tuple(method for method, needed in NEEDS.items() if needed == "prompts")
"""The methods that learn from prompts, without pictures."""


@dataclass(frozen=True)
class MethodSettings:
    """The fold "Method"."""

    method: str = setting("lora", "Method", "What is learned. lora = what the pictures show. "
        "addift = what is different in the second picture of every pair, in 30-100 steps. "
        "leco and ileco = what prompts say, without pictures.", "Method",
        choices=METHODS)
    after_images: str = setting("", "Pictures after", "The second pictures of the pairs: a folder in which they have "
        "the names of the first ones, or one picture, if the picture folder is one picture, too. Empty = they lie "
        "beside the first ones and their names end otherwise.", "Method", path=True, part=PAIRS)
    before_suffix: str = setting("", "First picture ends in", "What the names of the first pictures end in, before "
        ".png. Empty = nothing.", "Method", part=PAIRS)
    after_suffix: str = setting("_after", "Second picture ends in", "What the names of the second pictures end in: "
        "face.png and face_after.png are a pair. In a folder of their own the ending may be missing.", "Method",
        part=PAIRS)
    difference_strength: float = setting(0.25, "Strength while learning", "At this strength, and at its negative, the "
        "LoRA learns to make the whole difference. Below 1 it does more than that at strength 1, which few steps need.",
        "Method", minimum=0.01, maximum=4, part=PAIRS)
