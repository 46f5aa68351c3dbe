"""Changes to a presets file as changes to its text: a preset is added, changed, moved, taken away, all else stays.

A preset is one line; the comment line directly above it is its hint. Presets of one name may stand in one file, one for
each architecture, so a preset is found by both.
"""
from __future__ import annotations

import re

from lib_trainer.blocks import hints
from lib_trainer.blocks.entry_text import EntryText, Key, Unit
from lib_trainer.blocks.hints import Hint
from lib_trainer.blocks.presets import Preset, Presets
from lib_trainer.blocks.values import items_of, looks_like_item, shortened
from lib_trainer.errors import UserError

RESERVED = frozenset({"XYZ", "ZYX", "NOT"})
"""Words that mean something else where a preset's name stands: the plot's placeholders."""

_FORBIDDEN = re.compile(r"[:#,=@;<>/\ufeff\ufffd\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST = 60
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_NUMBERED = re.compile(r"_([0-9]{1,4})\Z")


class PresetLines:
    """A presets file as `entry_text.Format`: a unit is a line."""

    noun = "preset"
    line_ends = 1

    def cut(self, text: str) -> list[Unit]:
        """Cuts a text into lines."""
        return [Unit(found[1], found[2]) for found in _LINE.finditer(text) if found[0]]

    def key_of(self, content: str) -> Key | None:
        """Returns the key of the preset that a line defines."""
        # Behind a line end, so that a byte order mark in the middle of a file is not taken for one at its start.
        found = Presets.parse("\n" + content).entries
        return key_of(found[0]) if found else None


def key_of(preset: Preset) -> Key:
    """Returns what tells a preset from all others of its file."""
    return Key(preset.name, preset.arch or "")


def checked_name(name: str, noun: str = "preset") -> str:
    """Returns a name that can stand in a file and in a tag, without the spaces around it.

    Raises:
        UserError: it cannot.
    """
    name = name.strip()
    reason = _fault_of_name(name)
    if reason:
        raise UserError(f"'{shortened(name)}' cannot be the name of a {noun}: {reason}.")
    return name


def _fault_of_name(name: str) -> str | None:
    if not name:
        return "write a name"
    found = _FORBIDDEN.search(name)
    if found:
        sign = f"'{found[0]}'" if found[0].isprintable() else f"the character U+{ord(found[0]):04X}"
        return f"{sign} would not survive in a tag or in the file"
    if looks_like_item(name):
        return "it reads as a number"
    if name.upper() in RESERVED:
        return "the word has a meaning of its own"
    return f"it is longer than {_LONGEST} letters" if len(name) > _LONGEST else None


def line_of(name: str, numbers: str) -> str:
    """Returns the line that defines a preset.

    Args:
        name: its name, which may be one that only an old file has.
        numbers: its list as written, items parted by commas.

    Raises:
        UserError: the list is none.
    """
    line = f"{name}:{','.join(items_of(numbers))}"
    read = Presets.parse("\n" + line)
    if len(read.entries) == 1 and read.entries[0].name == name:
        return line
    said = read.problems[0].text.partition(": ")[2] if read.problems else ""
    raise UserError(f"The block weights of '{shortened(name)}' cannot be read: "
                    + (said or "write 12, 17, 20 or 26 numbers with commas between."))


def add(text: str, name: str, numbers: str, hint: Hint = hints.NO_HINT) -> str:
    """Returns the text with a new preset behind the last one.

    Raises:
        UserError: the name or the list is none, or the name is taken for this architecture.
    """
    line = line_of(checked_name(name), numbers)
    return EntryText(text, LINES).add(line, hints.written(hint, _is_preset))


def change(text: str, key: Key, name: str, numbers: str, hint: Hint | None = None) -> str:
    """Returns the text with a preset written anew where it stands.

    Args:
        text: the file.
        key: the preset.
        name: its name from now on. numbers: its list from now on.
        hint: its hint from now on; None = as it is.

    Raises:
        UserError: as `add`; also when the preset is not there, or more than once.
    """
    line = line_of(name.strip() if name.strip() == key.name else checked_name(name), numbers)
    return EntryText(text, LINES).replace(key, line, None if hint is None else hints.written(hint, _is_preset))


def rename(text: str, key: Key, name: str) -> str:
    """Returns the text with a preset under another name, its numbers as they were written.

    Raises:
        UserError: as `change`.
    """
    entries = EntryText(text, LINES)
    before, colon, numbers = entries.content(key).partition(":")
    return entries.replace(key, before.replace(key.name, checked_name(name)) + colon + numbers, None)


def delete(text: str, key: Key) -> str:
    """Returns the text without a preset and its hint.

    Raises:
        UserError: it is not there.
    """
    return EntryText(text, LINES).delete(key)


def move(text: str, key: Key, position: int) -> str:
    """Returns the text with a preset, and its hint, at another place among the presets (0 = the first).

    Raises:
        UserError: it is not there, or more than once.
    """
    return EntryText(text, LINES).move(key, position)


def free_name(text: str, name: str, arch: str) -> str:
    """Returns the first of NAME_2, NAME_3, ... that no preset of this architecture has."""
    taken = {key.name for key in EntryText(text, LINES).keys if key.arch == arch}
    stem = _NUMBERED.sub("", name)
    return next(new for number in range(2, len(taken) + 3) if (new := f"{stem}_{number}") not in taken)


def _is_preset(content: str) -> bool:
    return LINES.key_of(content) is not None


LINES = PresetLines()
"""The one way to cut a presets file."""
