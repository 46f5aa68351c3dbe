"""A sequence that makes its elements when they are asked for: an epoch has half a million uses, of which one counts."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

From = TypeVar("From")
To = TypeVar("To")


class Lazily(Sequence[To], Generic[From, To]):
    """What a function makes of the elements of a list, one at a time and every time anew."""

    def __init__(self, given: Sequence[From], make: Callable[[int, From], To], first: int = 0) -> None:
        """Makes the sequence.

        Args:
            given: what its elements are made of. make: makes one of them from its number and what is given.
            first: number of the first one.
        """
        self._given, self._make, self._first = given, make, first

    def __len__(self) -> int:
        return len(self._given)

    @overload
    def __getitem__(self, index: int) -> To: ...

    @overload
    def __getitem__(self, index: slice) -> Lazily[From, To]: ...

    def __getitem__(self, index: int | slice) -> To | Lazily[From, To]:
        if isinstance(index, slice):
            start, _, step = index.indices(len(self._given))
            if step != 1:
                raise ValueError(f"Batches are cut without steps, not {index}.")
            return Lazily(self._given[index], self._make, self._first + start)
        return self._make(range(len(self._given))[index] + self._first, self._given[index])
