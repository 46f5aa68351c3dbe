"""Text files of unknown origin: presets files are UTF-8, but Windows editors save others, too."""
from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_GUESSES = (("cp932", "Shift-JIS"), ("gb18030", "GB 18030"), ("big5", "Big5"))
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
"""Letters that nobody writes, and that Chinese bytes read as Shift-JIS are full of."""


class Decoded(NamedTuple):
    """A file's text.

    Attributes:
        text: a byte order mark of UTF-8 is still at its start, line ends are as they were.
        encoding: its name for people; "" = UTF-8.
    """

    text: str
    encoding: str = ""


def decoded(content: bytes) -> Decoded:
    """Reads bytes as UTF-8, else as what they most likely are; never fails."""
    for mark, codec in _MARKS:
        if content.startswith(mark):
            return Decoded(content.decode(codec, errors="replace"), "UTF-16")
    try:
        return Decoded(content.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    guesses = list(_guesses(content))
    likely = [guess for guess in guesses if not _HALF_WIDTH.search(guess.text)]
    return next(iter([*likely, *guesses]), Decoded(content.decode("latin-1"), "Latin-1"))


def _guesses(content: bytes) -> Iterator[Decoded]:
    for codec, name in _GUESSES:
        try:
            yield Decoded(content.decode(codec), name)
        except UnicodeDecodeError:
            continue
