"""A subset: what pictures that lie together have in common, so that a picture itself stays small.

sd-scripts' word for a folder (or a metadata file) with its own repeats and options. Fifty thousand pictures of one
folder share one `Subset`.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.data.captions.caption_rules import CaptionRules
from lib_trainer.data.concepts import Concept
from lib_trainer.data.picture_rules import PictureRules


@dataclass(frozen=True)
class Subset:
    """What the pictures of one folder or metadata file have in common.

    Attributes:
        name: of its folder, such as "10_zunko".
        root: what the files of its items are relative to.
        prefix: beginning of its items' keys; no two subsets of a run that have pictures of the same name share it.
        repeats: uses per epoch of each of its pictures, >= 1.
        is_reg: whether these are regularisation pictures.
        captions: what happens to a caption at every use. pictures: what happens to a picture at every use.
        loss_weight: the loss of its pictures times this.
        class_tokens: caption of its pictures that have none. metadata: whether captions come from a metadata file.
        keeps_base: whether its pictures are trained towards what the model predicts without the adapters, so that the
            class stays as it was (sd-scripts' `diff_output_preservation`).
        concept: prompts in place of a picture: its one item has no file; None = pictures.
    """

    name: str
    root: Path = Path()
    prefix: str = "images/"
    repeats: int = 1
    is_reg: bool = False
    captions: CaptionRules = field(default_factory=CaptionRules)
    pictures: PictureRules = field(default_factory=PictureRules)
    loss_weight: float = 1.0
    class_tokens: str = ""
    metadata: bool = False
    keeps_base: bool = False
    concept: Concept | None = None
