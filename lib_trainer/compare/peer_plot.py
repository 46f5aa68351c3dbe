"""The plot of the LoRA Block Weight extension: block weights, seeds, presets and rules along three axes.

The prompt's tag has a placeholder (`<lora:name:1:XYZ>`). What stands for it begins with the preset named XYZ, or with 1
for every block. "Block ID" and "values" together put one value into one group of blocks; "Original Weights" begins with
another preset instead, on several axes with their sum (where several have a weight, the first axis' counts); "elements"
adds one elemental rule to those of the entry XYZ; "seed" draws with another seed. Cells that are the same are drawn
once. One grid for each value of Z.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layouts import ARCH_BLOCKS, LAYOUTS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.rules import read_rule
from lib_trainer.blocks.values import Unreadable, looks_like_item, shortened
from lib_trainer.compare import placeholder
from lib_trainer.compare.axes import (
    BLOCKS,
    ELEMENTS,
    KINDS,
    NONE,
    ORIGINAL,
    SEED,
    VALUES,
    Axis,
    chosen_blocks,
    read_axis,
)
from lib_trainer.compare.cells import Cell, PictureOf, Sheet
from lib_trainer.compare.grids import Font, Grid
from lib_trainer.compare.placeholder import Placed
from lib_trainer.compare.seeds import rolled
from lib_trainer.compare.vector import Vector
from lib_trainer.errors import Problems, UserError

MOST = 2000
"""Pictures of one plot: beyond, somebody has mistyped a range."""

_FACT = "LoRA plot {}"


@dataclass(frozen=True)
class Names:
    """Where the names in a plot are looked up.

    Attributes:
        presets: block weights. elements: elemental rules. arch: "sd15" or "sdxl", that of the loaded checkpoint.
    """

    presets: Presets
    elements: Elements
    arch: str


def plot_of(
    asked: Sequence[tuple[str | int | None, str | None]], names: Names, prompt: str,
    roll: Callable[[], int] = rolled,
) -> PeerPlot:
    """Reads the axes and returns the plot.

    Args:
        asked: type and values of X, Y and Z, as written.
        names: where presets and rules are looked up.
        prompt: the prompt with its placeholders.
        roll: draws the seeds that are written as -1.

    Raises:
        UserError: what is wrong, all of it.
    """
    axes: list[Axis] = []
    faults: list[str] = []
    for name, (kind, text) in zip("XYZ", asked, strict=True):
        try:
            axes.append(read_axis(name, kind, text, roll))
        except UserError as fault:
            faults.append(str(fault))
    if faults:
        raise Problems(faults)
    return PeerPlot(axes, names, prompt)


class PeerPlot:
    """A plot whose axes have been read; a `Comparison`.

    Attributes:
        cells: the pictures to draw, each once.
        told: sentences about the axes.
    """

    def __init__(self, axes: Sequence[Axis], names: Names, prompt: str) -> None:
        """Finds the cells.

        Args:
            axes: X, Y and Z.
            names: where presets and rules are looked up.
            prompt: the prompt with its placeholders.

        Raises:
            UserError: what is wrong with the axes or the prompt, all of it.
        """
        self._x, self._y, self._z = self._axes = tuple(axes)
        self._names = names
        self._loras = placeholder.names(prompt)
        _check(self._axes, placeholder.placeholders(prompt))
        self._base = self._first_weights()
        self._places: dict[tuple[int, int, int], int] = {}
        self.cells: list[Cell] = []
        self.told: list[str] = []
        self._find_cells()

    def _first_weights(self) -> Vector:
        if self._names.presets.get(placeholder.WEIGHTS, self._names.arch) is None:
            return Vector.ones(ARCH_BLOCKS[self._names.arch])
        return self._preset(placeholder.WEIGHTS)

    def _preset(self, name: str) -> Vector:
        presets = self._names.presets
        preset = presets.get(name, self._names.arch)
        if preset is None:
            near = presets.near(name)
            advice = f"did you mean '{near[0]}'?" if near else "the presets file has no such name."
            raise UserError(f"Unknown preset '{shortened(name)}' on an axis '{ORIGINAL}': {advice}")
        if len(preset.items) not in LAYOUTS:
            raise UserError(f"The preset '{preset.name}' has {len(preset.items)} numbers: a plot needs 12, 17, 20 or "
                            "26.")
        return Vector(preset.items)

    def _find_cells(self) -> None:
        """Goes through all places in the order in which the grids are filled."""
        known: dict[Cell, int] = {}
        faults: dict[str, None] = {}
        for z, y, x in product(*(range(len(axis.values)) for axis in reversed(self._axes))):
            try:
                cell = self._cell((x, y, z))
            except UserError as fault:
                faults[str(fault)] = None
                continue
            if cell not in known:
                known[cell] = len(self.cells)
                self.cells.append(cell)
            self._places[x, y, z] = known[cell]
        if faults:
            raise Problems(faults)

    def _cell(self, place: tuple[int, int, int]) -> Cell:
        by_kind: dict[str, list[str]] = {}
        for axis, index in zip(self._axes, place, strict=True):
            by_kind.setdefault(axis.kind, []).append(axis.values[index])
        weights = self._weights(by_kind)
        rules = self._rules(by_kind[ELEMENTS][0]) if ELEMENTS in by_kind else None
        seed = int(by_kind[SEED][0]) if SEED in by_kind else None
        return Cell(Placed(str(weights), str(weights.inverted()), rules), seed)

    def _weights(self, by_kind: Mapping[str, Sequence[str]]) -> Vector:
        named = by_kind.get(ORIGINAL, ())
        weights = self._preset(named[0]) if named else self._base
        for name in named[1:]:
            weights = weights.plus(self._preset(name), " and ".join(f"'{one}'" for one in named))
        if BLOCKS in by_kind:
            value = by_kind[VALUES][0]
            if not looks_like_item(value):
                raise UserError(f"'{shortened(value)}' on the axis '{VALUES}' is no block weight: write numbers, X, R "
                                "or U.")
            weights = weights.with_value(chosen_blocks(by_kind[BLOCKS][0], weights.layout), value)
        return weights

    def _rules(self, written: str) -> str:
        parts = written.split(":")
        if len(parts) != 3:
            raise UserError(f"'{shortened(written)}' on the axis '{ELEMENTS}' is no rule: write blocks:elements:ratio, "
                            "such as IN05-OUT05:attn:0.")
        try:
            rule = read_rule(*parts)
        except Unreadable as fault:
            raise UserError(f"'{shortened(written)}' on the axis '{ELEMENTS}' cannot be read: {fault}.") from None
        entry = self._names.elements.get(placeholder.WEIGHTS)
        return ",".join(map(str, (*(entry.rules if entry else ()), rule)))

    @property
    def grids(self) -> int:
        """How many grids there will be."""
        return len(self._z.values)

    def sheets(self, picture: PictureOf, font: Font) -> Iterator[Sheet]:
        """Makes one grid for each value of Z."""
        columns, rows = ([axis.label(i) for i in range(len(axis.values))] for axis in (self._x, self._y))
        for z in range(len(self._z.values)):
            title = ", ".join(filter(None, [*self._loras, self._z.label(z)]))
            grid = Grid(columns, rows, title, font)
            for y, x in product(range(len(rows)), range(len(columns))):
                grid.place(x, y, picture(self._places[x, y, z]))
            image = grid.finish()
            if image is not None:
                yield Sheet(image, self._facts(z), _smaller(grid))

    def _facts(self, z: int) -> dict[str, str]:
        facts = {_FACT.format(axis.name): axis.text for axis in self._axes if axis.text}
        return facts | ({_FACT.format("grid"): f"{self._z.kind}: {self._z.values[z]}"} if self._z.text else {})


def _smaller(grid: Grid) -> tuple[str, ...]:
    if grid.scale == 1.0:
        return ()
    return (f"The grid would have been too large: its pictures are shown at {grid.scale:.0%} of their size.",)


def _check(axes: Sequence[Axis], placeholders: frozenset[str]) -> None:
    """Tells everything that makes no plot."""
    kinds = [axis.kind for axis in axes]
    faults = [f"Two axes have the type '{kind}': choose another one for the second."
              for kind in KINDS if kind not in (NONE, ORIGINAL) and kinds.count(kind) > 1]
    faults += [f"An axis '{one}' needs another axis '{other}'."
               for one, other in ((BLOCKS, VALUES), (VALUES, BLOCKS)) if one in kinds and other not in kinds]
    if not placeholders:
        faults.append("The plot needs a place in the prompt: write XYZ as the block weights of a LoRA, "
                      "<lora:name:1:XYZ>.")
    elif ELEMENTS in kinds and placeholder.RULES not in placeholders:
        faults.append(f"The axis '{ELEMENTS}' needs a place in the prompt: write {placeholder.RULES} into the LoRA's "
                      f"tag.")
    elif {BLOCKS, ORIGINAL} & set(kinds) and placeholders == {placeholder.RULES}:
        faults.append("The axes change block weights, but the prompt has no place for them: write XYZ behind the "
                      "LoRA's strength.")
    count = len(axes[0].values) * len(axes[1].values) * len(axes[2].values)
    if count > MOST:
        faults.append(f"The plot would have {count} pictures, at most are {MOST}: write fewer values.")
    if faults:
        raise Problems(faults)
