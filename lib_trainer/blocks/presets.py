"""Named lists of block weights, and the file that holds them.

The file is that of the LoRA Block Weight extension: one `NAME:number,number,...` a line, UTF-8. A line counts only when
it has a colon, 12, 17, 20, 26 or 61 numbers and no `#` anywhere; every other line is a comment. Of lines with one name
the last acts. Lines that were probably meant to be presets but do not count are listed as problems, with their number.
"""
from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.blocks.layouts import FLUX_LENGTH, LAYOUTS
from lib_trainer.blocks.values import Unreadable, is_random, items_of, looks_like_item, read_items, shortened
from lib_trainer.errors import UserError

SHIPPED = Path(__file__).resolve().parent.parent / "assets" / "lbwpresets.txt"
"""The presets that a new presets file starts with."""

_LENGTHS = frozenset((*LAYOUTS, FLUX_LENGTH))


@dataclass(frozen=True)
class Preset:
    """A named list.

    Attributes:
        name: as written in the file.
        items: the items as text: numbers, or `X`, which a tag's `x=` fills.
        line: its line in the file, from 1.
    """

    name: str
    items: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Problem:
    """A line that was probably meant to be a preset and is none.

    Attributes:
        line: its number, from 1; 0 for the file as a whole.
        name: the preset's name.
        text: one sentence.
    """

    line: int
    name: str
    text: str


class Presets:
    """The presets of one file.

    Attributes:
        entries: the presets that act, in the order of the file.
        problems: what is wrong with the file.
        text: the file as written.
    """

    def __init__(self, entries: list[Preset], problems: list[Problem], text: str) -> None:
        self.entries = tuple({preset.name: preset for preset in entries}.values())
        self.problems = tuple(problems)
        self.text = text
        self._exact = {preset.name: preset for preset in self.entries}
        self._folded = {preset.name.casefold(): preset for preset in self.entries}

    @classmethod
    def parse(cls, text: str) -> Presets:
        """Reads the text of a presets file; nothing in it can fail."""
        entries: list[Preset] = []
        problems: list[Problem] = []
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1):
            _read_line(number, line, entries, problems)
        return cls(entries, problems, text)

    @classmethod
    def load(cls, path: Path) -> Presets:
        """Reads a presets file.

        Raises:
            UserError: the file is absent or cannot be read.
        """
        try:
            text = path.read_bytes().decode("utf-8-sig", errors="replace")
        except OSError as error:
            raise UserError(f"The presets file {path} cannot be read ({error.strerror}): name an existing file with "
                            "lines such as NAME:1,0,... .") from None
        return cls.parse(text)

    @classmethod
    def shipped(cls) -> Presets:
        """Reads the presets that come with the program."""
        return cls.load(SHIPPED)

    @property
    def names(self) -> list[str]:
        """Names of all presets, in the order of the file."""
        return [preset.name for preset in self.entries]

    def get(self, name: str) -> Preset | None:
        """Finds a preset by its exact name, else without regard to upper and lower case."""
        return self._exact.get(name.strip()) or self._folded.get(name.strip().casefold())

    def near(self, name: str) -> list[str]:
        """Names that somebody may have meant, the nearest first (at most three)."""
        near = difflib.get_close_matches(name.strip().casefold(), self._folded, 3)
        return [self._folded[folded].name for folded in near]

    def fault(self, name: str) -> str | None:
        """The sentence about a line that would have defined this preset, if there is one."""
        wanted = name.strip().casefold()
        return next((p.text for p in reversed(self.problems) if p.line and p.name.casefold() == wanted), None)


def _read_line(number: int, line: str, entries: list[Preset], problems: list[Problem]) -> None:
    name, colon, written = (part.strip() for part in line.partition(":"))
    items = items_of(written)
    if not colon or "#" in line or not any(looks_like_item(item) for item in items):
        return
    fault = _fault(name, items)
    if fault:
        problems.append(Problem(number, name, f"Line {number} of the presets, '{shortened(line.strip())}': {fault}"))
        return
    earlier = next((preset.line for preset in entries if preset.name == name), None)
    if earlier:
        problems.append(Problem(number, name, f"Line {number} of the presets defines '{name}' again: it acts instead "
                                              f"of line {earlier}; remove one of them."))
    entries.append(Preset(name, items, number))


def _fault(name: str, items: tuple[str, ...]) -> str | None:
    if not name or "\ufffd" in name:
        return "the name before the colon is " + ("missing." if not name else "not UTF-8: save the file as UTF-8.")
    if len(items) not in _LENGTHS:
        return f"block weights need 12, 17, 20 or 26 numbers, got {len(items)}."
    try:
        read_items([item for item in items if not is_random(item)], x=1.0)
    except Unreadable as fault:
        return f"{fault}."
    return None


class PresetsFile:
    """A presets file that may be edited while the program runs.

    Attributes:
        path: where it is; it is written with the shipped presets when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._presets: Presets | None = None

    def current(self) -> Presets:
        """The presets as the file says now; reads only when its time, size or place changed.

        Raises:
            UserError: the file exists but cannot be read.
        """
        stamp = self._stamp_now()
        if self._presets is None or stamp is None or stamp != self._stamp:
            self._presets, self._stamp = read_or_create(self.path), stamp
        return self._presets

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            state = self.path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino


def read_or_create(path: Path) -> Presets:
    """Reads a presets file; an absent one is first written with the shipped presets.

    Where the folder cannot be written, the shipped presets are returned, with a problem that says so.

    Raises:
        UserError: the file exists but cannot be read.
    """
    if not path.exists():
        try:
            _write_new(path, SHIPPED.read_bytes())
        except OSError as error:
            shipped = Presets.shipped()
            problem = Problem(0, "", f"The presets file {path} cannot be written ({error.strerror}): the shipped "
                                     "presets are in use; make the folder writable to have your own.")
            return Presets(list(shipped.entries), [problem], shipped.text)
    return Presets.load(path)


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
