"""Caption files: a text file beside a picture, as people have them, in whatever encoding an editor left it."""
from __future__ import annotations

from pathlib import Path


class UnreadableCaption(Exception):
    """A caption file that cannot be read; the text is what is wrong with it."""


def read_caption(path: Path, every_line: bool = False) -> tuple[str, int]:
    """Reads a caption file (UTF-8, with or without BOM, any line ends).

    Args:
        path: the file.
        every_line: read all lines that are not empty, joined by line ends, instead of the first.

    Returns:
        The caption, and how many lines that are not empty are left out.

    Raises:
        UnreadableCaption: not UTF-8, or the file cannot be opened.
    """
    lines = [line for part in _text(path).splitlines() if (line := part.strip())]
    if every_line or not lines:
        return "\n".join(lines), 0
    return lines[0], len(lines) - 1


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableCaption(f"cannot be opened ({error.strerror})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableCaption(f"not UTF-8{_looks_like(content)}") from None
    if "\0" in text:
        raise UnreadableCaption(f"not UTF-8 text{_looks_like(content)}")
    return text


def _looks_like(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or content.count(0) * 4 > len(content):
        return ", probably UTF-16"
    try:
        content.decode("cp932")
    except UnicodeDecodeError:
        return ""
    return ", probably Shift-JIS (cp932)"
