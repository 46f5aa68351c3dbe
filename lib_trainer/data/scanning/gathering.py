"""Reading the headers and captions of many pictures: on threads, in their order, and nothing passed over.

Whoever lists pictures (a folder, a metadata file, one pair) says how one of them is read; what was found out of each is
gathered here, sorted by what a person must be told of it.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.data.captions.caption_files import UnreadableCaption, read_caption
from lib_trainer.data.item import Item
from lib_trainer.data.scanning.listing import Listing
from lib_trainer.data.scanning.names import faceless, stem_of
from lib_trainer.data.scanning.opening import UnreadablePicture, read_size
from lib_trainer.data.scanning.reading_ahead import read_ahead
from lib_trainer.data.subsets import Subset

_READERS = 8
"""Threads that read headers: a picture folder may lie on a network disk."""

_AT_ONCE = 32
"""Pictures that a thread reads at a time: handing over each alone would take as long as reading it."""


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Scan:
    """What was found in a folder.

    Attributes:
        items: the usable pictures, in natural order of their paths.
        skipped: what is not used.
        problems: faults to be mended before training, one sentence each.
        warnings: what a person should know, one sentence each.
    """

    items: list[Item]
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What the reading of one picture found out; the sentences are made from all of them together.

    Attributes:
        skip: why the picture is not used. unreadable: what is wrong with its caption file.
        empty: whether the caption file has no text. long: whether it has lines that are not used.
    """

    item: Item | None = None
    skip: str = ""
    unreadable: str = ""
    empty: bool = False
    long: bool = False


@dataclass
class Gathered:
    """What was found out of all pictures; only what is told of is kept."""

    items: list[Item] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unreadable: dict[str, list[Path]] = field(default_factory=dict)
    empty: list[Path] = field(default_factory=list)
    long: list[Path] = field(default_factory=list)

    def add(self, path: Path, found: Found) -> None:
        """Takes in what was found out of one picture."""
        if found.item:
            self.items.append(found.item)
        if found.skip:
            self.skipped.append(Skipped(path, found.skip))
        if found.unreadable:
            self.unreadable.setdefault(found.unreadable, []).append(path)
        if found.empty:
            self.empty.append(path)
        if found.long:
            self.long.append(path)


def gather(names: Iterable[str], folder: Path, read: Callable[[str], Found], gathered: Gathered) -> None:
    """Reads pictures on threads, in their order, a few in advance.

    Args:
        names: the files. folder: where they lie.
        read: finds out about one of them.
        gathered: takes all in.
    """
    every = list(names)
    parts = [every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE)]
    with closing(read_ahead(parts, lambda part: [read(name) for name in part], _READERS, 4 * _READERS)) as reading:
        for part, found in reading:
            for name, one in zip(part, found, strict=True):
                gathered.add(folder / name, one)


@dataclass(frozen=True)
class Source:
    """A folder whose pictures are a subset; `place` is what goes before their names in keys."""

    listing: Listing
    subset: Subset
    place: str = ""


def read(source: Source, captions: dict[str, str], name: str) -> Found:
    """Reads header and caption of one picture."""
    path = source.listing.folder / name
    try:
        size = read_size(path)
    except UnreadablePicture as error:
        return Found(skip=str(error))
    stem = stem_of(name)
    file, text, more = _first(captions, stem, stem.casefold(), faceless(stem)), "", 0
    if file is not None:
        try:
            text, more = read_caption(source.listing.folder / file, source.subset.captions.wildcards)
        except UnreadableCaption as error:
            return Found(unreadable=str(error))
    item = Item(source.subset, source.place + name, text or source.subset.class_tokens, *size, captioned=bool(text))
    return Found(item, empty=file is not None and not text, long=more > 0)


def _first(captions: dict[str, str], *stems: str) -> str | None:
    return next((captions[stem] for stem in stems if stem in captions), None)
