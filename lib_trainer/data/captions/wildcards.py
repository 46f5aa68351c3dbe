"""Wildcards in captions: `{red|blue} car` is one of its choices at every use.

`{{` and `}}` stand for a brace. A choice may hold further wildcards (`{a|b {c|d}}`), in whose end the second of two
closing braces closes the outer one. A brace without its partner is what it is.
"""
from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Choose = Callable[[Sequence[str]], str]


def resolve(text: str, choose: Choose) -> str:
    """Returns the text with every wildcard replaced by what `choose` takes of its choices."""
    if "{" not in text and "}" not in text:
        return text
    return _Reader(text, choose).read()


def at_random(rng: random.Random) -> Choose:
    """Returns a `choose` that draws."""
    return rng.choice


def first(choices: Sequence[str]) -> str:
    """A `choose` for where nothing may be left to chance."""
    return choices[0]


def are_in(text: str) -> bool:
    """Whether some wildcard in the text has more than one choice."""
    several = False

    def note(choices: Sequence[str]) -> str:
        nonlocal several
        several = several or len(set(choices)) > 1
        return choices[0]

    resolve(text, note)
    return several


class _Reader:
    """Reads a text from left to right, keeping the wildcards that are open on a stack."""

    def __init__(self, text: str, choose: Choose) -> None:
        self._text, self._choose = text, choose
        # The innermost open wildcard last: its finished choices, and below all of them the text around.
        self._open: list[list[str]] = [[""]]

    def read(self) -> str:
        at = 0
        while at < len(self._text):
            at += self._take(self._text[at], self._text[at : at + 2])
        while len(self._open) > 1:
            # Never closed: its brace and bars are text.
            choices = self._open.pop()
            self._open[-1][-1] += "{" + "|".join(choices)
        return self._open[0][0]

    def _take(self, sign: str, pair: str) -> int:
        """Takes what stands at the place; returns how many signs it was."""
        inside = len(self._open) > 1
        if pair == "{{" or (pair == "}}" and len(self._open) < 3):
            self._open[-1][-1] += sign
            return 2
        if sign == "{":
            self._open.append([""])
        elif sign == "|" and inside:
            self._open[-1].append("")
        elif sign == "}" and inside:
            choices = self._open.pop()
            # Nothing between the braces is no wildcard.
            self._open[-1][-1] += "{}" if choices == [""] else self._choose(choices)
        else:
            self._open[-1][-1] += sign
        return 1
