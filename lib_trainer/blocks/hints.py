"""Hints: the comment directly above an entry of a presets file or of elemental rules says what it is for.

`# folklore: face, hair, eyes` marks what people say of a preset and nobody has measured: blocks do different things in
different LoRAs.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from lib_trainer.blocks.values import shortened
from lib_trainer.errors import UserError

BARE = "#"
"""A comment that says nothing: it parts an entry from a comment that is not its own."""

_FOLKLORE = re.compile(r"folklore\b[:,;.]?\s*", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")


class Hint(NamedTuple):
    """What the comment above an entry says of it.

    Attributes:
        text: one sentence, "" = nothing.
        folklore: whether the comment marks it as what people say, not as what was measured.
    """

    text: str = ""
    folklore: bool = False


NO_HINT = Hint()


def read(comment: str, is_entry: Callable[[str], bool]) -> Hint | None:
    """Reads the piece of text above an entry.

    Args:
        comment: a line, or a paragraph of lines.
        is_entry: whether a text is an entry: one that was commented out is no hint of the next.

    Returns:
        the hint; None when the text is no comment, or an entry that was commented out.
    """
    lines = [line.strip() for line in _LINE_END.split(comment.strip())]
    if not all(line.startswith(BARE) for line in lines) or is_entry("\n".join(line.lstrip("# ") for line in lines)):
        return None
    return of_text(" ".join(line.lstrip(BARE) for line in lines))


def of_text(text: str) -> Hint:
    """Reads what a comment says, without its signs."""
    text = " ".join(text.split())
    found = _FOLKLORE.match(text)
    return Hint(text[found.end():], True) if found else Hint(text, False)


def written(hint: Hint, is_entry: Callable[[str], bool]) -> str:
    """Returns the comment that says a hint, "" for none.

    Args:
        hint: its text may be of several lines, they become one.
        is_entry: as in `read`.

    Raises:
        UserError: the hint would read as an entry that was commented out.
    """
    text = " ".join(hint.text.replace("\ufeff", "").split()).lstrip("# ")
    comment = " ".join(part for part in (BARE, "folklore:" if hint.folklore else "", text) if part)
    if comment == BARE:
        return ""
    if read(comment, is_entry) is None:
        raise UserError(f"The hint '{shortened(text)}' would read as an entry itself: write it as a sentence.")
    return comment
