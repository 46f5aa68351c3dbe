"""How a LoRA is made of two copiers: when a copier has learned enough, and how the one is subtracted from the other."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting

COPIERS = "Copiers"
"""The part of the fold "Method" that is for copiers."""

SUBTRACT, ON_TOP = "subtract", "on top"


@dataclass(frozen=True, init=False, repr=False, eq=False)
class CopierSettings:
    """The copiers of the pictures before and after."""

    copier_way: str = setting(SUBTRACT, "From two copiers", "subtract = one LoRA learns to copy the pictures before, "
        "another those after, and the first is subtracted from the second. on top = the second learns while the first "
        "acts, and is itself the result.", "Method", choices=(SUBTRACT, ON_TOP), part=COPIERS)
    copier_score: float = setting(0.9, "Copied from a score of", "A copier ends when its samples have come so far from "
        "what the model draws (0) to the picture (1). 0 = no score ends it.", "Method", minimum=0.0, maximum=1.0,
        part=COPIERS)
    copier_patience: int = setting(1, "Scores in a row", "So many in a row must reach it.", "Method", minimum=1,
        maximum=1000, part=COPIERS)
    copier_level: int = setting(3, "Scores without a gain", "A copier that has come half of the way also ends when so "
        "many scores have brought no gain above 0.02: it copies as well as it will. 0 = it trains on.", "Method",
        minimum=0, maximum=1000, part=COPIERS)
    copier_every_steps: int = setting(0, "Sample every N steps", "Draws the captions of the pairs and measures the "
        "copy score; 0 = after every epoch.", "Method", minimum=0, maximum=1000000, part=COPIERS)
    copier_seeds: str = setting("1, 2", "Seeds of the samples", "Two or more: what was copied looks the same at every "
        "seed.", "Method", part=COPIERS)
    copier_reduction: str = setting("exact", "Difference", "exact = nothing is lost: the ranks of both add up, mixed "
        "so that neither can be taken out again. svd = the nearest LoRA of the rank below; what is lost is told.",
        "Method", choices=("exact", "svd"), part=COPIERS)
    copier_svd_rank: int = setting(0, "Rank after SVD", "0 = as Rank.", "Method", minimum=0, maximum=8192, part=COPIERS)
    copier_svd_conv_rank: int = setting(0, "Conv rank after SVD", "0 = as Conv rank.", "Method", minimum=0,
        maximum=8192, part=COPIERS)
    keep_copiers: bool = setting(False, "Keep the copiers", "NAME-before and NAME-after stay in the LoRA folder. Off = "
        "they are removed when the difference is made.", "Method", part=COPIERS)
