"""Pictures for tests that never open them."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.data.captions.caption_rules import CaptionRules
from lib_trainer.data.item import Item
from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.subsets import Subset


def item(
    name: str,
    repeats: int = 1,
    is_reg: bool = False,
    size: tuple[int, int] = (128, 128),
    text: str = "",
    *,
    root: Path | None = None,
    captions: CaptionRules | None = None,
    pictures: PictureRules | None = None,
) -> Item:
    """Returns a picture `name` of a subset of its own, which has no root unless one is given."""
    subset = Subset(
        "f", root=root or Path(), prefix="", repeats=repeats, is_reg=is_reg, captions=captions or CaptionRules(),
        pictures=pictures or PictureRules(),
    )
    return Item(subset, name, text, *size, captioned=bool(text))
