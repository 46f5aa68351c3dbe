"""The analysis by pictures: one with every block, one for each group of blocks, and how far they are apart.

That is the LoRA Block Weight extension's "Effective Block Analyzer": every block has the second number of the range
(1), the examined group gets the first (0.5), and the picture is compared with the one before. `BlockPictures` is a
`Comparison`, so any host that draws plots draws it too; every sheet shows difference, picture and source side by side.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_trainer.compare import differences
from lib_trainer.compare.block_groups import Group, weights
from lib_trainer.compare.cells import Cell, Change, PictureOf, Sheet
from lib_trainer.compare.grids import Font, Grid
from lib_trainer.compare.ranking import Effect
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

MEAN, CHANGED = "mean", "changed"
"""Measures of a group: mean difference, and share of changed values, both in percent."""

MOST_SEEDS = 100
_MARK = "difference", "source"


@dataclass(frozen=True)
class Settings:
    """How pictures are compared.

    Attributes:
        low: the weight that the examined blocks get. high: that of all others, and of the picture compared with.
        seeds: how many, beginning with that of the generation and counting up.
        threshold: of the share of changed values, 0 to 255. ground: "black" or "white".
        swapped: whether the groups stand beside each other instead of below each other.
    """

    low: float = 0.5
    high: float = 1.0
    seeds: int = 1
    threshold: int = differences.THRESHOLD
    ground: str = differences.BLACK
    swapped: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise UserError(f"The number of seeds must be 1 to {MOST_SEEDS}, got {self.seeds}.")
        if not 0 <= self.threshold <= 255:
            raise UserError(f"The threshold of differences must be 0 to 255, got {self.threshold}.")
        if self.ground not in differences.GROUNDS:
            raise UserError(f"The ground of difference pictures must be {' or '.join(differences.GROUNDS)}, got "
                            f"'{self.ground}'.")

    @property
    def range(self) -> str:
        """The two weights as people write them."""
        return f"{self.low:g},{self.high:g}"


@dataclass(frozen=True)
class Pair:
    """A picture beside the one with every block.

    Attributes:
        group: the blocks that differ. seed: of both pictures.
        picture, source, difference: of one size.
        mean: mean difference. changed: share of changed values. Both in percent.
    """

    group: Group
    seed: int
    picture: Image
    source: Image
    difference: Image
    mean: float
    changed: float


class BlockPictures:
    """The pictures of an analysis and what they show; a `Comparison`.

    Attributes:
        cells: for every seed the picture with all blocks, then one for each group.
        told: sentences about what was asked for.
    """

    def __init__(
        self, groups: Sequence[Group], settings: Settings, seed: int, arch: str,
        change: Callable[[Mapping[str, float]], Change], title: str = "", told: Sequence[str] = (),
        seen: Callable[[Pair], None] = lambda pair: None,
    ) -> None:
        """Finds the cells.

        Args:
            groups: what is examined, at least one.
            seed: the first one.
            arch: "sd15" or "sdxl".
            change: makes the prompt's change of block weights.
            title: what the sheets are about, such as the LoRA's name.
            seen: shown every pair while `sheets` compares it; the pairs are not kept.
        """
        self.told = list(told)
        self._seen = seen
        self._measures: list[tuple[Group, float, float]] = []
        self._groups, self._settings, self._title = groups, settings, title
        self._seeds = [seed + number for number in range(settings.seeds)]
        changes = [change(weights(arch, group.blocks, settings.low, settings.high))
                   for group in (Group("", ()), *groups)]
        self.cells = [Cell(one, seed) for seed in self._seeds for one in changes]

    def sheets(self, picture: PictureOf, font: Font) -> Iterator[Sheet]:
        """Makes one sheet for each seed: difference, picture and source of every group."""
        for place, seed in enumerate(self._seeds):
            pairs = list(self._pairs(place, seed, picture))
            image = self._sheet(pairs, seed, font) if pairs else None
            if image is not None:
                yield Sheet(image, self._facts(seed))

    def effects(self) -> list[Effect]:
        """Returns what `sheets` has measured so far, in the order of the groups; the mean over the seeds."""
        found = []
        for group in self._groups:
            own = [measures for known, *measures in self._measures if known == group]
            if own:
                mean, changed = (sum(values) / len(own) for values in zip(*own, strict=True))
                found.append(Effect(group.label, group.blocks, mean, {MEAN: mean, CHANGED: changed}))
        return found

    def _pairs(self, place: int, seed: int, picture: PictureOf) -> Iterator[Pair]:
        first = place * (1 + len(self._groups))
        source = picture(first)
        for number, group in enumerate(self._groups, 1):
            drawn = picture(first + number)
            if drawn is not None and source is not None:
                pair = self._compared(group, seed, drawn, source)
                self._measures.append((group, pair.mean, pair.changed))
                self._seen(pair)
                yield pair

    def _compared(self, group: Group, seed: int, drawn: Image, source: Image) -> Pair:
        settings = self._settings
        return Pair(
            group, seed, drawn, source, differences.difference(drawn, source, settings.ground),
            differences.mean(drawn, source), differences.changed(drawn, source, settings.threshold))

    def _sheet(self, pairs: Sequence[Pair], seed: int, font: Font) -> Image | None:
        across = (_MARK[0], f"{self._settings.low:g}", _MARK[1])
        down = tuple(f"{pair.group.label}\nDiff: {pair.changed:.3f} %" for pair in pairs)
        title = ", ".join(filter(None, (self._title, f"seed {seed}")))
        grid = Grid(down, tuple(reversed(across)), title, font) if self._settings.swapped else \
            Grid(across, down, title, font)
        for row, pair in enumerate(pairs):
            shown = (pair.difference, pair.picture, pair.source)
            for column, image in enumerate(shown):
                grid.place(*((row, 2 - column) if self._settings.swapped else (column, row)), image)
        return grid.finish()

    def _facts(self, seed: int) -> dict[str, str]:
        labels = ", ".join(group.label for group in self._groups)
        return {"LoRA analysis": f"{self._settings.range}: {labels}", "LoRA analysis seed": str(seed)}
