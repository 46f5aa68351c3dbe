"""What belongs to one generation of a WebUI, kept beside it and not on it.

Two generations may run into each other (an extension draws a part of a picture anew while it is being made), and one
may die without a word: what is kept here is found by the generation itself and goes with it.
"""
from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

_Value = TypeVar("_Value")


class OfGeneration(Generic[_Value]):
    """Values by generation. The hosts' generations are equal when their fields are, so identity counts."""

    def __init__(self) -> None:
        self._kept: list[tuple[weakref.ref[Any], _Value]] = []

    def put(self, p: Any, value: _Value) -> None:
        """Keeps a value for a generation, in place of a former one."""
        self._kept = [pair for pair in self._others(p) if pair[0]() is not None]
        self._kept.append((weakref.ref(p), value))

    def get(self, p: Any) -> _Value | None:
        """Returns the value of a generation."""
        return next((value for own, value in self._kept if own() is p), None)

    def take(self, p: Any) -> _Value | None:
        """Returns the value of a generation and forgets it."""
        value = self.get(p)
        self._kept = self._others(p)
        return value

    def __len__(self) -> int:
        """How many generations that still exist have a value."""
        return sum(own() is not None for own, _ in self._kept)

    def _others(self, p: Any) -> list[tuple[weakref.ref[Any], _Value]]:
        return [pair for pair in self._kept if pair[0]() is not p]
