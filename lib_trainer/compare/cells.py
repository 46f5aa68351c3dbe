"""What a comparison asks of whoever draws: pictures that differ in their prompt or seed, and what is made of them.

A comparison (a plot, the analysis of blocks) lists its cells; a host draws one picture for each, in its own way, and
hands them back. Out of them come the sheets that a person looks at: labelled grids, heat maps.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lib_trainer.compare.grids import Font

if TYPE_CHECKING:
    from PIL.Image import Image


class Change(Hashable, Protocol):
    """How a prompt differs: called with the person's prompt, returns that of the cell; equal ones draw the same."""

    def __call__(self, prompt: str) -> str: ...


@dataclass(frozen=True)
class Cell:
    """One picture to draw.

    Attributes:
        change: makes its prompt; a hires prompt is changed in the same way, a negative one never.
        seed: its seed; None = that of the generation.
    """

    change: Change
    seed: int | None = None


@dataclass(frozen=True)
class Sheet:
    """A picture made of pictures.

    Attributes:
        image: what is shown and saved.
        facts: what stands in its infotext besides the values of the generation, by field name.
        told: sentences for the person.
    """

    image: Image
    facts: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()


PictureOf = Callable[[int], "Image | None"]
"""Returns the picture of the cell with this index; None = it was not drawn (interrupted)."""


class Comparison(Protocol):
    """Cells, and the sheets of their pictures."""

    @property
    def cells(self) -> Sequence[Cell]:
        """The pictures to draw, in this order; none is there twice."""
        ...

    @property
    def told(self) -> Sequence[str]:
        """Sentences about how it was asked for."""
        ...

    def sheets(self, picture: PictureOf, font: Font) -> Iterator[Sheet]:
        """Makes the sheets one after the other.

        Args:
            picture: gives the picture of a cell; it may read a file, so it is not asked without need.
            font: for labels; the hosts have their own.
        """
        ...
