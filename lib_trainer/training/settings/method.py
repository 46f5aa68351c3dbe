"""By which method is trained, and what only one of them asks for."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.concepts import PROMPTS
from lib_trainer.training.settings.copiers import COPIERS
from lib_trainer.training.settings.declare import setting
from lib_trainer.training.settings.rounds import ROUNDS
from lib_trainer.training.settings.slider import SLIDER

METHODS = ("lora", "addift", "difference", "leco", "ileco", "relora")
"""Names of the methods; what they do is in `training/methods/registry.py`."""

DIFFERENCE = "difference"
"""The method of two copiers."""

RELORA = "relora"
"""The method of rounds, each merged into a copy of the checkpoint."""

INSTANT = "ileco"
"""The method that takes pure noise for the latents of every timestep."""

PAIRS = "Pairs"
"""The part of the fold that is for pairs of pictures."""

ADDIFT = "ADDifT"
"""The part of the fold that is for learning the difference directly."""

NEEDS: dict[str, str] = {"lora": "pictures", "addift": "pairs", "difference": "pairs",
                         "leco": "prompts", "ileco": "prompts", "relora": "pictures"}
"""What a method learns from: "pictures", "pairs" of them, or "prompts"."""

PARTS: dict[str, tuple[str, ...]] = {
    "lora": (), "addift": (PAIRS, ADDIFT, SLIDER), "difference": (PAIRS, COPIERS, SLIDER), "leco": (PROMPTS, SLIDER),
    "ileco": (PROMPTS, SLIDER), "relora": (ROUNDS,)}
"""The parts of the fold that belong to a method; those of other methods do nothing in it."""


PROMPTED = tuple(method for method, needed in NEEDS.items() if needed == "prompts")
"""The methods that learn from prompts, without pictures."""


@dataclass(frozen=True, init=False, repr=False, eq=False)
class MethodSettings:
    """The fold "Method"."""

    method: str = setting("lora", "Method", "What is learned. lora = what the pictures show. "
        "addift = what is different in the second picture of every pair, in 30-100 steps. "
        "difference = the same by two LoRAs that copy the pictures, one subtracted from the other. "
        "leco and ileco = what prompts say, without pictures. relora = lora in rounds, each merged into a copy of the "
        "checkpoint before the next.", "Method",
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
        "Method", minimum=0.01, maximum=4, part=ADDIFT)
