"""A settings file that a person may edit while the program runs: presets, elemental rules.

It is read again when its time, size or place changed, it is written with the shipped content when it does not exist,
and what is wrong in it becomes problems with their line, never an exception.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lib_trainer.errors import UserError

_Content = TypeVar("_Content")


@dataclass(frozen=True)
class Problem:
    """A line that was probably meant to define something and does not, or not as somebody may expect.

    Attributes:
        line: its number, from 1; 0 for the file as a whole.
        name: what the line would have defined.
        text: one sentence.
    """

    line: int
    name: str
    text: str


def fault_of(name: str, problems: Sequence[Problem]) -> str | None:
    """The last sentence about lines that would have defined this name, in any case; None where there is none."""
    wanted = name.strip().casefold()
    return next((p.text for p in reversed(problems) if p.line and p.name.casefold() == wanted), None)


class EditedFile(Generic[_Content]):
    """One such file.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: Path, read: Callable[[Path], _Content]) -> None:
        """Remembers how the file is read.

        Args:
            path: where it is or shall be.
            read: reads it, and writes it first where it is absent.
        """
        self.path = path
        self._read = read
        self._stamp: tuple[int, int, int] | None = None
        self._content: _Content | None = None

    def current(self) -> _Content:
        """The content as the file says now; reads only when its time, size or place changed.

        Raises:
            UserError: the file exists but cannot be read.
        """
        stamp = self._stamp_now()
        if self._content is None or stamp is None or stamp != self._stamp:
            self._content, self._stamp = self._read(self.path), stamp
        return self._content

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            state = self.path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino


def read_text(path: Path, label: str, example: str) -> str:
    """Reads a file as UTF-8; what is not becomes U+FFFD, which the parsers tell with its line.

    Args:
        path: the file.
        label: what it is in a sentence: "presets file".
        example: a line of such a file.

    Raises:
        UserError: it is absent or cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"The {label} {path} cannot be read ({error.strerror}): name an existing file with lines such "
                        f"as {example} .") from None


def lines_of(text: str) -> Sequence[str]:
    """Cuts the text of a file into lines, whichever system wrote it."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def created(path: Path, shipped: Path, label: str) -> Problem | None:
    """Writes the shipped file to a path where there is none.

    Returns:
        a problem that says so where the folder cannot be written; the shipped content is to be used then.
    """
    if path.exists():
        return None
    try:
        _write_new(path, shipped.read_bytes())
    except OSError as error:
        return Problem(0, "", f"The {label} file {path} cannot be written ({error.strerror}): the shipped {label} are "
                              "in use; make the folder writable to have your own.")
    return None


def _write_new(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, and never over one that appeared meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        if not path.exists():
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
