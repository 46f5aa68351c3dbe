"""Named lists of block weights, and the file that holds them.

The file is that of the LoRA Block Weight extension: one `NAME:number,number,...` a line, UTF-8. A line counts only when
it has a colon, 12, 17, 20, 26 or 61 numbers (or sd-scripts' 23 or 25) and no `#` anywhere; every other line is a
comment. One name may stand for a list of each architecture (17 and 26 numbers are for SD 1.x, 12 and 20 for SDXL); of
several for one architecture the last acts. Lines that were probably meant to be presets but do not count are problems,
with their number.
"""
from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib_trainer.blocks import hints
from lib_trainer.blocks.edited_file import EditedFile, Problem, created, fault_of, lines_of, read_text
from lib_trainer.blocks.layouts import ARCH_OF_LENGTH, FLUX_LENGTH
from lib_trainer.blocks.values import Unreadable, is_random, items_of, looks_like_item, read_items, shortened

SHIPPED = Path(__file__).resolve().parent.parent / "assets" / "lbwpresets.txt"
"""The presets that a new presets file starts with."""

_LENGTHS = frozenset((*ARCH_OF_LENGTH, FLUX_LENGTH))


@dataclass(frozen=True)
class Preset:
    """A named list.

    Attributes:
        name: as written in the file.
        items: the items as text: numbers, or `X`, which a tag's `x=` fills.
        line: its line in the file, from 1.
        hint: what the comment directly above it says; "" = nothing.
        folklore: whether that comment begins with "folklore": what people say, not what was measured.
    """

    name: str
    items: tuple[str, ...]
    line: int
    hint: str = ""
    folklore: bool = False

    @property
    def arch(self) -> str | None:
        """The architecture that the list is made for, told from its length; None for Flux."""
        return ARCH_OF_LENGTH.get(len(self.items))


class Presets:
    """The presets of one file.

    Attributes:
        entries: the presets that act, in the order of the file.
        problems: what is wrong with the file.
        text: the file as written.
    """

    def __init__(self, entries: Sequence[Preset], problems: Sequence[Problem], text: str) -> None:
        self.entries = tuple({(preset.name, preset.arch): preset for preset in entries}.values())
        self.problems = tuple(problems)
        self.text = text
        self._folded = {preset.name.casefold(): preset for preset in self.entries}

    @classmethod
    def parse(cls, text: str) -> Presets:
        """Reads the text of a presets file; nothing in it can fail."""
        entries: list[Preset] = []
        problems: list[Problem] = []
        lines, places = lines_of(text), dict[tuple[str, str | None], int]()
        for number, line in enumerate(lines, start=1):
            found = _read_line(number, line)
            if isinstance(found, Problem):
                problems.append(found)
            elif found is not None:
                earlier = places.get((found.name, found.arch))
                if earlier:
                    problems.append(_again(found, earlier))
                places[found.name, found.arch] = number
                entries.append(_with_hint(found, lines))
        return cls(entries, problems, text)

    @classmethod
    def load(cls, path: Path) -> Presets:
        """Reads a presets file.

        Raises:
            UserError: the file is absent or cannot be read.
        """
        return cls.parse(read_text(path, "presets file", "NAME:1,0,..."))

    @classmethod
    def shipped(cls) -> Presets:
        """Reads the presets that come with the program."""
        return cls.load(SHIPPED)

    @property
    def names(self) -> list[str]:
        """Names of all presets, in the order of the file, each once."""
        return list(dict.fromkeys(preset.name for preset in self.entries))

    def get(self, name: str, arch: str | None = None) -> Preset | None:
        """Finds a preset by its exact name, else without regard to upper and lower case.

        Args:
            name: as written in a tag.
            arch: "sd15" or "sdxl": of presets with one name that which is made for it is taken, else the last.
        """
        wanted = name.strip()
        found = [preset for preset in self.entries if preset.name == wanted] or [
            preset for preset in self.entries if preset.name.casefold() == wanted.casefold()]
        fitting = [preset for preset in found if preset.arch == arch]
        return (fitting or found)[-1] if found else None

    def near(self, name: str) -> list[str]:
        """Names that somebody may have meant, the nearest first (at most three)."""
        near = difflib.get_close_matches(name.strip().casefold(), self._folded, 3)
        return [self._folded[folded].name for folded in near]

    def fault(self, name: str) -> str | None:
        """The sentence about a line that would have defined this preset, if there is one."""
        return fault_of(name, self.problems)


def _read_line(number: int, line: str) -> Preset | Problem | None:
    name, colon, written = (part.strip() for part in line.partition(":"))
    if not colon or "#" in line:
        return None
    items = items_of(written)
    if not any(looks_like_item(item) for item in items):
        return None
    fault = _fault(name, items)
    if fault:
        return Problem(number, name, f"Line {number} of the presets, '{shortened(line.strip())}': {fault}")
    return Preset(name, items, number)


def _again(preset: Preset, earlier: int) -> Problem:
    return Problem(preset.line, preset.name, f"Line {preset.line} of the presets defines '{preset.name}' again: it "
                                             f"acts instead of line {earlier}; remove one of them.")


def _with_hint(preset: Preset, lines: Sequence[str]) -> Preset:
    hint = hints.read(lines[preset.line - 2], _is_preset) if preset.line > 1 else None
    return replace(preset, hint=hint.text, folklore=hint.folklore) if hint else preset


def _is_preset(line: str) -> bool:
    return isinstance(_read_line(1, line), Preset)


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


class PresetsFile(EditedFile[Presets]):
    """A presets file that may be edited while the program runs; written with the shipped presets when absent."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, read_or_create)


def read_or_create(path: Path) -> Presets:
    """Reads a presets file; an absent one is first written with the shipped presets.

    Where the folder cannot be written, the shipped presets are returned, with a problem that says so.

    Raises:
        UserError: the file exists but cannot be read.
    """
    problem = created(path, SHIPPED, "presets")
    if problem is None:
        return Presets.load(path)
    shipped = Presets.shipped()
    return Presets(shipped.entries, [problem], shipped.text)
