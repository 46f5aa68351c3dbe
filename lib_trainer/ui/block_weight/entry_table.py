"""The list of a file's entries as HTML, and which of its rows is chosen.

JavaScript (javascript/train_lora_entries.js) puts the key of a clicked row, and the part of the list that is to be
shown, into a hidden box as JSON; the server answers with the list drawn anew.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from lib_trainer.blocks.entry_text import Item, Key
from lib_trainer.ui.notes import warnings

NOBODY = Key("")

MOST = 400
"""Rows that are drawn: a browser stays quick, and longer files are edited as text."""


class Choice(NamedTuple):
    """What the hidden box says.

    Attributes:
        key: the chosen entry's; no name = none is chosen.
        show: the architecture whose entries are listed; "" = all.
    """

    key: Key = NOBODY
    show: str = ""

    @classmethod
    def read(cls, text: str) -> Choice:
        """Reads the hidden box; what is no choice is none."""
        try:
            name, arch, show = json.loads(text)
        except (ValueError, TypeError):
            return cls()
        return cls(Key(str(name), str(arch)), str(show))

    def __str__(self) -> str:
        """Writes the choice as the hidden box holds it."""
        return json.dumps([*self.key, self.show], ensure_ascii=False)

    def lists(self, item: Item) -> bool:
        """Whether an entry is among those listed."""
        return not self.show or item.key.arch == self.show


class EntryTable:
    """How a file's entries are listed."""

    def __init__(
        self, box: str, columns: Sequence[str], cells: Callable[[Item], Iterable[str]], shows: Mapping[str, str]
    ) -> None:
        """Describes the list.

        Args:
            box: element id of the hidden box.
            columns: heads of the columns between name and hint.
            cells: an entry's cells in them, as HTML.
            shows: words of the parts that can be shown, by architecture; empty = all is shown always.
        """
        self._box = box
        self._columns = columns
        self._cells = cells
        self._shows = shows

    def html(self, items: Sequence[Item], choice: Choice) -> str:
        """Returns the list."""
        listed = [item for item in items if choice.lists(item)]
        drawn = [item for place, item in enumerate(listed) if place < MOST or item.key == choice.key]
        rows = "".join(self._row(item, item.key == choice.key) for item in drawn)
        more = ([f"{len(listed) - len(drawn)} more are not listed here: the file as text has them all."]
                if len(listed) > len(drawn) else [])
        heads = "".join(f"<th>{column}</th>" for column in ("Name", *self._columns, "Hint"))
        return (f'<div class="tl-entries" data-box="{self._box}" data-choice="{escape(str(choice))}">'
                f'{self._parts(choice.show)}<div class="tl-scroll"><table><thead><tr>{heads}</tr></thead>'
                f"<tbody>{rows}</tbody></table></div></div>{warnings(more)}")

    def _parts(self, show: str) -> str:
        buttons = "".join(f'<button type="button" data-show="{arch}" aria-pressed="{str(arch == show).lower()}">{word}'
                          "</button>" for arch, word in self._shows.items())
        return f'<div class="tl-parts" role="group">{buttons}</div>' if buttons else ""

    def _row(self, item: Item, chosen: bool) -> str:
        key = escape(json.dumps([*item.key], ensure_ascii=False))
        badge = '<b class="tl-badge">folklore</b> ' if item.hint.folklore else ""
        cells = "".join(f"<td>{cell}</td>" for cell in self._cells(item))
        return (f'<tr tabindex="0" data-key="{key}" aria-selected="{str(chosen).lower()}">'
                f"<td><code>{escape(item.key.name)}</code></td>{cells}<td>{badge}{escape(item.hint.text)}</td></tr>")
