"""One use of a picture: how it looks this time, with which caption, and the batch that it is trained in."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.data.buckets import Placement
from lib_trainer.data.item import Item
from lib_trainer.data.picture_rules import Look


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture and what is done to it.

    Attributes:
        item: the picture. placement: its scaling and crop.
        first: the first picture of its pair, whose crops and colours it takes; None = it has its own.
    """

    item: Item
    placement: Placement
    first: Item | None = None


@dataclass(frozen=True)
class Sample:
    """One use of one picture.

    Attributes:
        item: the picture. look: its scaling, crop, mirroring and colours in this use.
        caption: what it is shown with, after shuffling and dropping.
        repeat_index: which of its uses in the epoch, from 0.
        key: stable name of this use, for generators: the same in every epoch and on every machine.
        partner: the second picture of its pair with the same look; None = it stands alone.
    """

    item: Item
    look: Look
    caption: str
    repeat_index: int
    key: str
    partner: Sample | None = None

    @property
    def placement(self) -> Placement:
        """Scaling and crop of this use."""
        return self.look.placement

    @property
    def flip(self) -> bool:
        """Whether it is shown mirrored."""
        return self.look.flip

    @property
    def size_ids(self) -> tuple[int, int, int, int, int, int]:
        """What SDXL is told, in pixels: the picture's own height and width, top and left of the crop inside the scaled
        picture, height and width of what is trained on (Podell et al. 2023, section 2.2).
        """
        (left, top), (width, height) = self.placement.crop, self.placement.bucket
        if self.flip:
            left = self.placement.resized[0] - width - left
        return self.item.height, self.item.width, top, left, height, width


@dataclass(frozen=True)
class Batch:
    """Samples of one size that are trained together."""

    samples: list[Sample]
