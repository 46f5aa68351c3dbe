"""Block weights as a plot changes them: items by block, still as text, so that `X`, `R` and `U` stay what they are."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_trainer.blocks.layouts import LAYOUTS, in_words
from lib_trainer.blocks.values import Unreadable, number_text, read_number
from lib_trainer.errors import UserError

_ONE = "1"


@dataclass(frozen=True)
class Vector:
    """A list of block weights.

    Attributes:
        items: what stands at its places, as text.
        base: what the blocks have that no axis names, where there is no preset; None for a list of somebody's own.
            Such weights are written with the names of the blocks, which is short and means the same on every layout.
    """

    items: tuple[str, ...]
    base: str | None = None

    @classmethod
    def ones(cls, blocks: Sequence[str]) -> Vector:
        """1 for every block of an architecture: what a LoRA without block weights does."""
        return cls((_ONE,) * len(blocks), _ONE)

    @property
    def layout(self) -> tuple[str, ...]:
        """The blocks of the items, in their order."""
        return LAYOUTS[len(self.items)]

    def with_value(self, blocks: Iterable[str], value: str) -> Vector:
        """The list with another item at these blocks."""
        chosen = frozenset(blocks)
        items = (value if block in chosen else item for block, item in zip(self.layout, self.items, strict=True))
        return Vector(tuple(items), self.base)

    def inverted(self) -> Vector:
        """1 - v at every place that holds a number; `X`, `R` and `U` stay."""
        return Vector(tuple(map(_inverted, self.items)), None if self.base is None else _inverted(self.base))

    def plus(self, other: Vector, names: str) -> Vector:
        """The sum of two lists; where both are not 0, the other one's item is dropped. Three decimals.

        Raises:
            UserError: an item that is no number; `names` says whose.
        """
        mine, theirs = self._numbers(names), other._numbers(names)
        length = max(len(self.items), len(other.items))
        layout = LAYOUTS[length] if _covers(LAYOUTS[length], mine, theirs) else LAYOUTS[max(LAYOUTS)]
        total = (mine.get(block, 0.0) or theirs.get(block, 0.0) for block in layout)
        return Vector(tuple(number_text(round(value, 3)) for value in total))

    def _numbers(self, names: str) -> dict[str, float]:
        try:
            return {block: read_number(item) for block, item in zip(self.layout, self.items, strict=True)}
        except Unreadable as fault:
            raise UserError(f"The presets {names} cannot be added: {fault}.") from None

    def __str__(self) -> str:
        """Writes the weights as a tag takes them: a list, or blocks by name."""
        if len(set(self.items)) == 1:
            return self.items[0] if self.base is not None else ",".join(self.items)
        if self.base is None or not all(map(_is_number, self.items)):
            return ",".join(self.items)
        named = [f"{in_words(self._blocks_of(item)).replace(', ', ' ')}@{item}"
                 for item in dict.fromkeys(self.items) if item != self.base]
        return ",".join(named if self.base == _ONE else [self.base, *named])

    def _blocks_of(self, item: str) -> list[str]:
        return [block for block, own in zip(self.layout, self.items, strict=True) if own == item]


def _covers(layout: Sequence[str], *weights: dict[str, float]) -> bool:
    return all(block in layout for one in weights for block, value in one.items() if value)


def _is_number(item: str) -> bool:
    try:
        read_number(item)
    except Unreadable:
        return False
    return True


def _inverted(item: str) -> str:
    return number_text(round(1 - read_number(item), 10)) if _is_number(item) else item
