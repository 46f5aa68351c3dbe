"""Changes to a file of presets or rules as changes to its text: one entry is added, changed, moved or taken away.

Everything is a pure function from text to text, for both kinds of file: `preset_editing.PRESETS` and
`element_editing.ELEMENTS` say how each is cut and written.
"""
from __future__ import annotations

import re

from lib_trainer.blocks.entry_text import EntryText, Format, Key
from lib_trainer.blocks.hints import NO_HINT, Hint
from lib_trainer.blocks.values import looks_like_item, shortened
from lib_trainer.errors import UserError

_RESERVED = frozenset({"XYZ", "ZYX", "NOT"})
"""Words that mean something else where a name stands: the plot's placeholders, and the sign of a negated choice."""

_FORBIDDEN = re.compile(r"[:#,=@;<>/\ufeff\ufffd\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST = 60
_NUMBERED = re.compile(r"_([0-9]{1,4})\Z")


def checked_name(name: str, noun: str) -> str:
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
    if name.upper() in _RESERVED:
        return "the word has a meaning of its own"
    return f"it is longer than {_LONGEST} letters" if len(name) > _LONGEST else None


def add(form: Format, text: str, name: str, body: str, hint: Hint = NO_HINT) -> str:
    """Returns the text with a new entry behind the last one.

    Raises:
        UserError: the name or the body cannot be read, or the name is taken.
    """
    content, comment = form.write(checked_name(name, form.noun), body, hint)
    return EntryText(text, form).add(content, comment or "")


def change(
    form: Format, text: str, key: Key, name: str, body: str | None = None, hint: Hint | None = None
) -> str:
    """Returns the text with an entry written anew where it stands.

    Args:
        form: the kind of file.
        text: the file.
        key: the entry.
        name: its name from now on; an unchanged one may be one that only an old file has.
        body: what it says from now on; None = as it is, to the letter.
        hint: its hint from now on; None = as it is, to the letter.

    Raises:
        UserError: as `add`; also when the entry is not there, or more than once.
    """
    entries = EntryText(text, form)
    name = key.name if name.strip() == key.name else checked_name(name, form.noun)
    content, comment = form.write(name, body, hint, entries.content(key))
    return entries.replace(key, content, comment)


def put(form: Format, text: str, name: str, body: str, hint: Hint | None = None) -> str:
    """Returns the text with an entry of this name and body: the one that is there changed, or a new one.

    Raises:
        UserError: as `change`.
    """
    keys = EntryText(text, form).keys
    if name.strip() not in {key.name for key in keys}:
        return add(form, text, name, body, hint or NO_HINT)
    key = form.key_of(form.write(name.strip(), body, hint)[0])
    if key is not None and key in keys:
        return change(form, text, key, name, body, hint)
    return add(form, text, name, body, hint or NO_HINT)


def delete(form: Format, text: str, key: Key) -> str:
    """Returns the text without an entry and its hint.

    Raises:
        UserError: it is not there.
    """
    return EntryText(text, form).delete(key)


def move(form: Format, text: str, key: Key, position: int) -> str:
    """Returns the text with an entry, and its hint, at another place among the entries (0 = the first).

    Raises:
        UserError: it is not there, or more than once.
    """
    return EntryText(text, form).move(key, position)


def free_name(form: Format, text: str, key: Key) -> str:
    """Returns the first of NAME_2, NAME_3, ... that no entry of this architecture has."""
    taken = {other.name for other in EntryText(text, form).keys if other.arch == key.arch}
    stem = _NUMBERED.sub("", key.name)
    return next(new for number in range(2, len(taken) + 3) if (new := f"{stem}_{number}") not in taken)
