"""How a file of elemental rules is cut and written: an entry is a paragraph, its comment lines are its hint.

A new hint is written behind the rules: the LoRA Block Weight extension takes all that stands before the first colon of
a paragraph for the ID, and skips a comment behind it.
"""
from __future__ import annotations

import re
from collections.abc import Sequence

from lib_trainer.blocks import hints
from lib_trainer.blocks.edited_file import Problem, lines_of
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.entry_text import Item, Key, Unit
from lib_trainer.blocks.hints import BARE, Hint
from lib_trainer.blocks.values import shortened
from lib_trainer.errors import UserError

_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


class RuleParagraphs:
    """A file of elemental rules as `entry_text.Format`: a unit is a paragraph."""

    noun = "rule"
    line_ends = 2
    hints_above = False

    def cut(self, text: str) -> list[Unit]:
        """Cuts a text behind its empty lines."""
        units: list[Unit] = []
        parted = True
        for found in _LINE.finditer(text):
            line, end = found[1], found[2]
            if not found[0]:
                continue
            if line.strip() and parted:
                units.append(Unit(line, end))
            elif line.strip():
                units[-1] = Unit(units[-1].content + units[-1].end + line, end)
            else:
                last = units.pop() if units else Unit("", "")
                units.append(Unit(last.content, last.end + line + end))
            parted = not line.strip()
        return units

    def key_of(self, content: str) -> Key | None:
        """Returns the key of the entry that a paragraph defines."""
        found = Elements.parse("\n" + content).entries
        return Key(found[0].id) if found else None

    def items(self, text: str) -> list[Item]:
        """Returns the entries that act."""
        bodies = {self.key_of(unit.content): _body(unit.content) for unit in self.cut(text.removeprefix("\ufeff"))}
        return [Item(Key(entry.id), bodies[Key(entry.id)], hints.of_text(entry.hint), entry.rules, entry.line)
                for entry in Elements.parse(text).entries]

    def problems(self, text: str) -> Sequence[Problem]:
        """Returns what is wrong with the text."""
        return Elements.parse(text).problems

    def write(self, name: str, body: str | None, hint: Hint | None, before: str = "") -> tuple[str, str | None]:
        """Writes an entry as a paragraph, its hint in it."""
        comments = [line for line in lines_of(before) if line.lstrip().startswith(BARE)]
        rules = _body(before) if body is None else "\n".join(filter(None, map(str.strip, lines_of(body))))
        if hint is not None:
            written = hints.written(hint, lambda content: False)
            above, below = [], [written] if written else []
        else:
            first = next((i for i, line in enumerate(lines_of(before)) if not line.lstrip().startswith(BARE)), 0)
            above, below = comments[:first], comments[first:]
        paragraph = "\n".join([*above, f"{name}:{rules}", *below])
        _check(name, paragraph)
        return (_line_end(before)).join(paragraph.split("\n")), None


def _body(content: str) -> str:
    """Returns the rules of a paragraph as written, without its ID and its comments."""
    lines = [line.strip() for line in lines_of(content) if not line.lstrip().startswith(BARE)]
    return "\n".join([lines[0].partition(":")[2].strip(), *lines[1:]]).strip() if lines else ""


def _check(name: str, paragraph: str) -> None:
    """Raises UserError when a paragraph is not one entry of this name without a mistake."""
    read = Elements.parse("\n" + paragraph)
    if len(read.entries) == 1 and read.entries[0].id == name:
        return
    said = read.problems[0].text.partition("': ")[2] if read.problems else ""
    raise UserError(f"The rules of '{shortened(name)}' cannot be read: "
                    + (said or "write blocks:elements:ratio, such as IN05-OUT05:attn:0, one a line."))


def _line_end(text: str) -> str:
    found = re.search(r"\r\n|\n|\r", text)
    return found[0] if found else "\n"


ELEMENTS = RuleParagraphs()
"""The format of `elempresets.txt`."""
