"""How people name folders and pictures: quoted Windows paths, `zko (1).png`, `10_zunko`, Japanese, `.JPG`.

The one place that turns typed text into a path, tells pictures from other files by their ending, reads a sub-folder's
`N_caption` name and sorts paths so that every machine trains on the same pictures in the same order.
"""
from __future__ import annotations

import os
import re
from pathlib import Path

from lib_trainer.errors import UserError

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
"""Endings that every Pillow reads (lower case)."""

OPTIONAL_PICTURES = frozenset({".avif", ".jxl"})
"""Endings that are read where the installed Pillow, or a plug-in of it, opens them."""

OTHER_PICTURES = OPTIONAL_PICTURES | {".gif", ".tif", ".tiff", ".heic", ".heif", ".jfif", ".psd", ".tga", ".svg"}
"""Endings of pictures that are not read: such files are listed, not passed over."""

_QUOTES = "\"'\u201c\u201d\u2018\u2019"
_REPEATS = re.compile(r"(\d+)(?:_(.*))?", re.DOTALL)
_FACE = re.compile(r"_\d+_\d+_\d+_\d+$")
_DIGITS = re.compile(r"(\d+)")


def clean_path(text: str | Path) -> Path:
    """Returns the path that a person typed or pasted: without spaces and quotes around it, `~` expanded.

    Raises:
        UserError: nothing is left.
    """
    if isinstance(text, Path):
        return text
    bare = text.strip()
    while len(bare) >= 2 and bare[0] in _QUOTES and bare[-1] in _QUOTES:
        bare = bare[1:-1].strip()
    if not bare:
        raise UserError(f"No folder is given ({text!r}): enter the folder with the pictures.")
    try:
        return Path(bare).expanduser()
    except RuntimeError:
        raise UserError(f"The home folder in {bare!r} is not known: enter the whole path.") from None


def readable_endings() -> frozenset[str]:
    """Returns the endings of pictures that can be opened here, lower case with dot."""
    from PIL import Image

    return PICTURES | (OPTIONAL_PICTURES & Image.registered_extensions().keys())


def repeats_and_caption(folder_name: str) -> tuple[int, str] | None:
    """Reads an `N_caption` folder name: the number before the first `_`, the class tokens after it.

    Returns:
        (repeats, class tokens), or None when the name does not begin with a whole number of at least 1.
    """
    match = _REPEATS.fullmatch(folder_name)
    if match is None or int(match[1]) < 1:
        return None
    return int(match[1]), (match[2] or "").strip()


def ending(name: str) -> str:
    """Returns the ending of a file's name, lower case with its dot; as text, since there may be tens of thousands."""
    return os.path.splitext(name)[1].lower()


def stem_of(name: str) -> str:
    """Returns a file's name without its ending."""
    return os.path.splitext(name)[0]


def faceless(stem: str) -> str:
    """Returns the stem of a caption that several crops of one picture share: without a face box `_cx_cy_w_h`."""
    return _FACE.sub("", stem)


def natural_key(path: str) -> tuple[list[tuple[int, int | str]], str]:
    """Sorts 2 before 10, whatever the locale; ties by case are broken by the text itself."""
    parts = [(0, int(part)) if part.isdecimal() else (1, part.casefold()) for part in _DIGITS.split(path) if part]
    return parts, path
