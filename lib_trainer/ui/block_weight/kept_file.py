"""A text file of the person's that the page changes: whole or not at all, and never without a way back.

Before every change the version so far is kept twice: beside the file as `.bak`, and in the folder of backups, which
holds the last ten. A file that another program changed since the page showed it is not overwritten.
"""
from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lib_trainer.blocks.decoding import decoded
from lib_trainer.blocks.edited_file import created
from lib_trainer.errors import UserError
from lib_trainer.lora import whole

KEPT = 10
"""Backups of one file."""


class Version(NamedTuple):
    """The file as it was at a moment.

    Attributes:
        content: its bytes.
        text: with its byte order mark and its line ends.
        encoding: what the bytes were read as; "" = UTF-8.
    """

    content: bytes
    text: str
    encoding: str

    @property
    def stamp(self) -> str:
        """A word that is equal exactly when the bytes are."""
        return hashlib.sha256(self.content).hexdigest()


class KeptFile:
    """One such file.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: Path, shipped: Path, backups: Path, label: str) -> None:
        """Remembers where things are; writes nothing.

        Args:
            path: the file. shipped: what it begins with where it is absent.
            backups: folder of backups, made when the first is written.
            label: what the file holds, in a sentence: "presets".
        """
        self.path = path
        self._shipped = shipped
        self._backups = backups
        self._label = label
        self._lock = threading.Lock()

    def read(self) -> Version:
        """Returns the file as it is now.

        Raises:
            UserError: it cannot be read or made.
        """
        problem = created(self.path, self._shipped, self._label)
        if problem is not None:
            raise UserError(problem.text)
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise UserError(f"The file '{self.path}' cannot be read ({error.strerror}): check its rights.") from None
        return Version(content, *decoded(content))

    def edit(self, change: Callable[[str], str]) -> bool:
        """Writes what `change` makes of the text as it is now; returns whether anything changed.

        Raises:
            UserError: from `change`, or the file cannot be read or written.
        """
        with self._lock:
            version = self.read()
            return self._write(change(version.text), version)

    def save(self, text: str, seen: str) -> bool:
        """Writes a whole text that somebody typed in a browser; returns whether anything changed.

        Args:
            text: the text, lines parted as browsers do (a line feed); it is written as the file's lines end.
            seen: stamp of the version that the person began with.

        Raises:
            UserError: another program changed the file meanwhile, or it cannot be written.
        """
        with self._lock:
            version = self.read()
            if version.stamp != seen:
                raise UserError(f"Another program or page changed '{self.path}' after it was shown here, so nothing "
                                "was saved. Copy what you typed, press 'Read the file again', and put it in once more.")
            return self._write(_like(text, version.text), version)

    def backups(self) -> list[Path]:
        """The kept versions, the newest first."""
        with contextlib.suppress(OSError):
            return sorted(self._backups.glob(f"{self.path.stem}-*{self.path.suffix}"), reverse=True)
        return []

    def backup(self, name: str) -> str:
        """Returns the text of a kept version by its file name.

        Raises:
            UserError: there is none of this name, or it cannot be read.
        """
        found = next((path for path in self.backups() if path.name == name), None)
        if found is None:
            raise UserError(f"There is no backup '{name}' any more: choose another.")
        try:
            return decoded(found.read_bytes()).text
        except OSError as error:
            raise UserError(f"The backup '{found}' cannot be read ({error.strerror}).") from None

    def _write(self, text: str, before: Version) -> bool:
        content = text.encode("utf8", errors="replace")
        if content == before.content:
            return False
        self._keep(before.content)
        whole.write(self.path.resolve(), content, overwrite=True)  # where the path is a link, the file behind it
        return True

    def _keep(self, content: bytes) -> None:
        whole.write(self.path.with_name(self.path.name + ".bak"), content, overwrite=True)
        moment = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        whole.write(self._backups / f"{self.path.stem}-{moment}{self.path.suffix}", content, overwrite=True)
        for old in self.backups()[KEPT:]:
            with contextlib.suppress(OSError):  # one backup more than promised harms nobody
                old.unlink()


def _like(text: str, before: str) -> str:
    """Returns a browser's text with the byte order mark and the line ends of the text before."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if before.count("\r\n") * 2 > before.count("\n"):
        lines = lines.replace("\n", "\r\n")
    return ("\ufeff" if before.startswith("\ufeff") else "") + lines
