"""How a presets file is cut and written: a preset is one line, the comment line directly above it is its hint.

Presets of one name may stand in one file, one for each architecture, so a preset is found by both.
"""
from __future__ import annotations

import re
from collections.abc import Sequence

from lib_trainer.blocks import hints
from lib_trainer.blocks.edited_file import Problem
from lib_trainer.blocks.entry_text import Item, Key, Unit
from lib_trainer.blocks.hints import Hint
from lib_trainer.blocks.presets import Preset, Presets
from lib_trainer.blocks.values import Unreadable, items_of, read_number, shortened
from lib_trainer.errors import UserError

_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


class PresetLines:
    """A presets file as `entry_text.Format`: a unit is a line."""

    noun = "preset"
    line_ends = 1
    hints_above = True

    def cut(self, text: str) -> list[Unit]:
        """Cuts a text into lines."""
        return [Unit(found[1], found[2]) for found in _LINE.finditer(text) if found[0]]

    def key_of(self, content: str) -> Key | None:
        """Returns the key of the preset that a line defines."""
        # Behind a line end, so that a byte order mark in the middle of a file is not taken for one at its start.
        found = Presets.parse("\n" + content).entries
        return key_of(found[0]) if found else None

    def items(self, text: str) -> list[Item]:
        """Returns the presets that act."""
        return [Item(key_of(preset), ",".join(preset.items), Hint(preset.hint, preset.folklore),
                     tuple(_meaning(item) for item in preset.items), preset.line)
                for preset in Presets.parse(text).entries]

    def problems(self, text: str) -> Sequence[Problem]:
        """Returns what is wrong with the text."""
        return Presets.parse(text).problems

    def write(self, name: str, body: str | None, hint: Hint | None, before: str = "") -> tuple[str, str | None]:
        """Writes a preset as a line, and its hint as the line above."""
        if body is None:
            old, colon, numbers = before.partition(":")
            line = old.replace(old.strip(), name) + colon + numbers
        else:
            line = _line(name, body)
        return line, None if hint is None else hints.written(hint, self._is_preset)

    def _is_preset(self, content: str) -> bool:
        return self.key_of(content) is not None


def key_of(preset: Preset) -> Key:
    """Returns what tells a preset from all others of its file."""
    return Key(preset.name, preset.arch or "")


def _meaning(item: str) -> object:
    try:
        return read_number(item)
    except Unreadable:
        return item.upper()


def _line(name: str, numbers: str) -> str:
    """Returns the line that defines a preset.

    Raises:
        UserError: the list is none.
    """
    line = f"{name}:{','.join(items_of(numbers))}"
    read = Presets.parse("\n" + line)
    if len(read.entries) == 1 and read.entries[0].name == name:
        return line
    said = read.problems[0].text.partition("': ")[2] if read.problems else ""
    raise UserError(f"The block weights of '{shortened(name)}' cannot be read: "
                    + (said or "write 12, 17, 20 or 26 numbers with commas between."))


PRESETS = PresetLines()
"""The format of `lbwpresets.txt`."""
