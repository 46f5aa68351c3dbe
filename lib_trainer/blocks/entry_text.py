"""Entries in a text that people write by hand: changes to one of them leave every other byte as it is.

A text is cut into units (lines of a presets file, paragraphs of a file of elemental rules) that keep their line ends.
A unit may hold an entry, be a comment, or be anything else. The comment directly above an entry is its hint and goes
where the entry goes; all other comments stay. Where a change would put a stranger's comment directly above an entry
without a hint, a bare `#` is put between.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from lib_trainer.blocks import hints
from lib_trainer.blocks.edited_file import Problem
from lib_trainer.blocks.hints import BARE, Hint
from lib_trainer.errors import UserError

_LINE_END = re.compile(r"\r\n|\r|\n")


class Key(NamedTuple):
    """What tells an entry from all others: its name and, where names may occur once per architecture, that."""

    name: str
    arch: str = ""


@dataclass(frozen=True)
class Unit:
    """A piece of the text: its content and the line ends behind it."""

    content: str
    end: str


@dataclass(frozen=True)
class Item:
    """An entry as people see it.

    Attributes:
        key: what tells it from others.
        body: what it says, as text: numbers with commas, or rules a line.
        hint: its hint.
        meaning: equal for bodies that mean the same.
        line: its line in the file, from 1.
    """

    key: Key
    body: str
    hint: Hint
    meaning: tuple[object, ...]
    line: int


class Format(Protocol):
    """How a kind of file is cut and written, and which of its pieces are entries.

    Attributes:
        noun: what an entry is called in a sentence.
        line_ends: how many line ends part an entry from the next unit.
        hints_above: whether the unit above an entry is its hint if it is a comment; else hints are part of the entry.
    """

    noun: str
    line_ends: int
    hints_above: bool

    def items(self, text: str) -> list[Item]:
        """Returns the entries that act, in the order of the text."""
        ...

    def problems(self, text: str) -> Sequence[Problem]:
        """Returns what is wrong with the text."""
        ...

    def write(self, name: str, body: str | None, hint: Hint | None, before: str = "") -> tuple[str, str | None]:
        """Writes an entry.

        Args:
            name: its name, checked.
            body: what it says; None = what `before` says, as it is written there.
            hint: None = the hint it has, if any.
            before: the unit that it stands in so far, "" = a new one.

        Returns:
            the unit, and the comment above it: "" = none, None = as it is.

        Raises:
            UserError: the body or the hint cannot be read.
        """
        ...

    def cut(self, text: str) -> list[Unit]:
        """Cuts a text without its byte order mark; the units joined are the text."""
        ...

    def key_of(self, content: str) -> Key | None:
        """Returns the key of the entry that a unit holds, None when it holds none."""
        ...


class EntryText:
    """A text and its entries.

    Attributes:
        keys: the entries' keys in the order of the text, one per place where an entry stands.
    """

    def __init__(self, text: str, form: Format) -> None:
        self._form = form
        self._mark = "\ufeff" if text.startswith("\ufeff") else ""
        self._units = form.cut(text.removeprefix("\ufeff"))
        self._gap = _line_end(text) * form.line_ends
        self._keys = [form.key_of(unit.content) for unit in self._units]
        self._last = {key: place for place, key in enumerate(self._keys) if key is not None}

    @property
    def keys(self) -> list[Key]:
        """Keys of all entries, in the order of the text."""
        return [key for key in self._keys if key is not None]

    def add(self, content: str, comment: str) -> str:
        """Puts an entry behind the last one.

        Raises:
            UserError: there is an entry with its key.
        """
        key = self._form.key_of(content)
        if key in self._last:
            raise UserError(f"There is a {self._form.noun} '{key.name if key else ''}' already: "
                            "change that one, or take another name.")
        return self.add_all([[comment, content] if comment else [content]])

    def add_all(self, groups: Sequence[Sequence[str]]) -> str:
        """Puts entries behind the last one.

        Args:
            groups: for each entry the comments that stand above it, its hint the last of them, and the entry; the keys
                are new. An entry that has comments but no hint has a bare `#` as its last.
        """
        index = max(self._last.values(), default=len(self._units) - 1) + 1
        block = [Unit(content, self._gap) for group in groups for content in group]
        return self._join(self._with(list(self._units), index, block)) if block else self._join(self._units)

    def replace(self, key: Key, content: str, comment: str | None) -> str:
        """Writes an entry anew where it stands.

        Args:
            key: the entry's key so far.
            content: the new entry; it may have another key that is free.
            comment: its new hint as a comment, "" to have none, None to leave it as it is.

        Raises:
            UserError: no such entry, more than one, or the new key is taken.
        """
        place, new = self._place(key), self._form.key_of(content)
        if new != key and new in self._keys:
            raise UserError(f"There is a {self._form.noun} '{new.name if new else ''}' already: take another name.")
        units = list(self._units)
        units[place] = replace(units[place], content=content)
        if comment is None or comment == self._comment(place):
            return self._join(units)
        start = self._start(place)
        head = [Unit(comment, self._gap)] if comment else []
        if not head and self._may_be_hint(units, start - 1):
            head = [Unit(BARE, self._gap)]
        if start < place and head:
            head = [replace(units[start], content=head[0].content)]
        return self._join([*units[:start], *head, *units[place:]])

    def delete(self, key: Key) -> str:
        """Takes an entry away with its hint; of several with this key all.

        Raises:
            UserError: no such entry.
        """
        if key not in self._keys:
            raise self._absent(key)
        units = list(self._units)
        for place in reversed([i for i, found in enumerate(self._keys) if found == key]):
            units = self._without(units, self._start(place), place + 1)
        return self._join(units)

    def move(self, key: Key, position: int) -> str:
        """Puts an entry, with its hint, to a position among the entries.

        Args:
            key: the entry's key.
            position: its new place in `keys`, 0 = first; beyond the ends means the end.

        Raises:
            UserError: no such entry, or more than one.
        """
        place = self._place(key)
        position = max(0, min(position, len(self.keys) - 1))
        if self.keys[position] == key:
            return self._join(self._units)
        start = self._start(place)
        block = self._units[start:place + 1]
        rest = EntryText(self._join(self._without(list(self._units), start, place + 1)), self._form)
        places = rest._places()
        index = places[position - 1] + 1 if position else rest._start(places[0])
        return self._join(rest._with(list(rest._units), index, block))

    def content(self, key: Key) -> str:
        """Returns the unit of an entry as written.

        Raises:
            UserError: no such entry, or more than one.
        """
        return self._units[self._place(key)].content

    def comments_above(self, key: Key) -> list[str]:
        """Returns the comments that stand above an entry without a gap, without its hint; of several the last one's.

        Raises:
            UserError: no such entry.
        """
        if key not in self._last:
            raise self._absent(key)
        stop = start = self._start(self._last[key])
        while start and self._units[start - 1].content.lstrip().startswith(BARE) and self._form.hints_above:
            start -= 1
        return [unit.content for unit in self._units[start:stop]]

    @property
    def contents(self) -> set[str]:
        """Everything that stands in the text, entries and comments alike."""
        return {unit.content for unit in self._units}

    def _places(self) -> list[int]:
        return [i for i, key in enumerate(self._keys) if key is not None]

    def _place(self, key: Key) -> int:
        places = [i for i, found in enumerate(self._keys) if found == key]
        if not places:
            raise self._absent(key)
        if len(places) > 1:
            raise UserError(f"The {self._form.noun} '{key.name}' is defined {len(places)} times: remove all but one in "
                            "the text of the file.")
        return places[0]

    def _absent(self, key: Key) -> UserError:
        return UserError(f"There is no {self._form.noun} '{key.name}' in the file now: read the file again.")

    def _start(self, place: int) -> int:
        """Index of the first unit that belongs to the entry at `place`: its hint's, if it has one."""
        return place - 1 if self._may_be_hint(self._units, place - 1) else place

    def _comment(self, place: int) -> str:
        start = self._start(place)
        return self._units[start].content if start < place else ""

    def _may_be_hint(self, units: Sequence[Unit], index: int) -> bool:
        is_there = self._form.hints_above and 0 <= index < len(units)
        return is_there and hints.read(units[index].content, self._is_entry) is not None

    def _is_entry(self, content: str) -> bool:
        return self._form.key_of(content) is not None

    def _with(self, units: list[Unit], index: int, block: Sequence[Unit]) -> list[Unit]:
        """Returns the units with a block put in; the last unit of the text goes on ending as it did."""
        block = [unit if self._parts(unit.end) else replace(unit, end=self._gap) for unit in block]
        if self._is_entry(block[0].content) and self._may_be_hint(units, index - 1):
            block.insert(0, Unit(BARE, self._gap))
        if units and index == len(units) and not self._parts(units[-1].end):
            block[-1] = replace(block[-1], end=units[-1].end)
            units[-1] = replace(units[-1], end=self._gap)
        return [*units[:index], *block, *units[index:]]

    def _without(self, units: list[Unit], start: int, stop: int) -> list[Unit]:
        """Returns the units without some; what comes behind them does not inherit the comment before them."""
        left, removed, right = units[:start], units[start:stop], units[stop:]
        if not right and left and not self._parts(removed[-1].end):
            left[-1] = replace(left[-1], end=removed[-1].end)
        if right and self._form.key_of(right[0].content) and self._may_be_hint(left, len(left) - 1):
            left.append(Unit(BARE, self._gap))
        return [*left, *right]

    def _parts(self, end: str) -> bool:
        return len(_LINE_END.findall(end)) >= self._form.line_ends

    def _join(self, units: Sequence[Unit]) -> str:
        return self._mark + "".join(unit.content + unit.end for unit in units)


def _line_end(text: str) -> str:
    """How lines of a text end; a lone carriage return would become one line end with a line feed behind it."""
    found = re.search(r"\r?\n", text) or re.search(r"\r", text)
    return found[0] if found else "\n"
