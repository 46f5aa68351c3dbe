"""One picture to train on, or the prompts that take a picture's place.

Everything from the scan to the loss passes items on. A data set may have half a million of them, so what a picture
shares with those around it lies in its subset.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib_trainer.data.subsets import Subset


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to train on; what it has in common with others is in its subset, so that it stays small.

    Attributes:
        subset: what it shares with the pictures around it. file: its path inside the subset's root, with "/".
        caption: what it trains with when nothing is shuffled or dropped; may be empty.
        width: pixels of the upright picture. height: likewise.
        captioned: whether a caption that is not empty was written for it.
        partner: second picture of its pair, None = it stands alone. called: its key where it is to be drawn the same
            random numbers as another picture, "" = its own.
    """

    subset: Subset
    file: str
    caption: str
    width: int
    height: int
    captioned: bool
    partner: Item | None = None
    called: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return self.subset.root / self.file

    @property
    def key(self) -> str:
        """Its name inside the run, independent of where the data set lies: with "/"."""
        return self.called or self.subset.prefix + self.file

    @property
    def repeats(self) -> int:
        """Uses per epoch, >= 1."""
        return self.subset.repeats

    @property
    def is_reg(self) -> bool:
        """Whether it is a regularisation picture."""
        return self.subset.is_reg

    @property
    def is_picture(self) -> bool:
        """Whether there is a file; prompts that are trained on in place of a picture have none."""
        return self.subset.concept is None

    @property
    def shown(self) -> str:
        """What a person knows it by: its file, or the line of prompts."""
        return self.subset.concept.label if self.subset.concept else str(self.path)

    @property
    def folder(self) -> str:
        """Name of the folder it lies in, such as "10_zunko"."""
        return self.subset.name
