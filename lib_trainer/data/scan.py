"""Finding the training pictures: which files, how often, with which caption.

Two layouts are read. Either the folder holds sub-folders named `N_caption` (N = repeats; the rest is the caption of
pictures that have no caption file), or it holds the pictures themselves. Only headers are opened here, so that tens of
thousands of pictures are listed in seconds; `verify.py` finds the files that end in the middle. Nothing is passed over
silently: what is not used stands in `skipped` with its reason, what must be mended in `problems`, what a person should
know in `warnings`.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lib_trainer.data import scan_sentences as sentences
from lib_trainer.data.caption_files import UnreadableCaption, read_caption
from lib_trainer.data.listing import Listing, by_stem, list_folder
from lib_trainer.data.names import (
    OTHER_PICTURES,
    clean_path,
    ending,
    faceless,
    readable_endings,
    repeats_and_caption,
    stem_of,
)
from lib_trainer.data.opening import UnreadablePicture, read_size
from lib_trainer.data.reading_ahead import read_ahead
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError

_READERS = 8
"""Threads that read headers: a picture folder may lie on a network disk."""

_AT_ONCE = 32
"""Pictures that a thread reads at a time: handing over each alone would take as long as reading it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to train on; what it has in common with others is in its subset, so that it stays small.

    Attributes:
        subset: what it shares with the pictures around it. file: its path inside the subset's root, with "/".
        caption: what it trains with when nothing is shuffled or dropped; may be empty.
        width: pixels of the upright picture. height: likewise.
        captioned: whether a caption that is not empty was written for it.
        partner: second picture of its pair, None = it stands alone. called: its key where it is to be drawn the same
            random numbers as another picture, "" = its own.
    """

    subset: Subset
    file: str
    caption: str
    width: int
    height: int
    captioned: bool
    partner: Item | None = None
    called: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return self.subset.root / self.file

    @property
    def key(self) -> str:
        """Its name inside the run, independent of where the data set lies: with "/"."""
        return self.called or self.subset.prefix + self.file

    @property
    def repeats(self) -> int:
        """Uses per epoch, >= 1."""
        return self.subset.repeats

    @property
    def is_reg(self) -> bool:
        """Whether it is a regularisation picture."""
        return self.subset.is_reg

    @property
    def is_picture(self) -> bool:
        """Whether there is a file; prompts that are trained on in place of a picture have none."""
        return self.subset.concept is None

    @property
    def shown(self) -> str:
        """What a person knows it by: its file, or the line of prompts."""
        return self.subset.concept.label if self.subset.concept else str(self.path)

    @property
    def folder(self) -> str:
        """Name of the folder it lies in, such as "10_zunko"."""
        return self.subset.name


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
class Source:
    """A folder whose pictures are a subset; `place` is what goes before their names in keys."""

    listing: Listing
    subset: Subset
    place: str = ""


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


def scan(
    folder: Path | str,
    *,
    subset: Subset | None = None,
    caption_extension: str = ".txt",
    trigger: str = "",
    named_folders: bool = True,
) -> Scan:
    """Lists the pictures of a folder with size, repeats and caption.

    Args:
        folder: the folder, as typed by a person.
        subset: what the pictures have in common, None = nothing special; its name and root are set here, and so are
            the repeats of N_caption sub-folders.
        caption_extension: ending of the caption files; the dot may be missing.
        trigger: caption of pictures of a flat folder that have no caption file.
        named_folders: whether N_caption sub-folders are read, where there are some, instead of the folder itself.

    Raises:
        UserError: no such folder, or no picture in it.
    """
    root = clean_path(folder)
    shared = replace(subset or Subset(""), name=root.name, root=root, class_tokens=trigger)
    listing = list_folder(root)
    endings = readable_endings()
    sources, skipped, warnings = _sources(shared, listing, endings, named_folders)
    extension = "." + caption_extension.strip().lstrip(".").lower()
    gathered = Gathered(skipped=skipped)
    for source in sources:
        pictures, foreign = _pictures(source.listing, endings)
        gathered.skipped += foreign
        captions = by_stem(name for name in source.listing.files if ending(name) == extension)
        gather(pictures, source.listing.folder, partial(read, source, captions), gathered)
    problems = sentences.unreadable_captions(
        {fault: [path.with_suffix(extension) for path in paths] for fault, paths in gathered.unreadable.items()})
    if not gathered.items and not problems:
        reasons = [f"{skip.path.name}: {skip.reason}." for skip in gathered.skipped[:3]]
        raise UserError(sentences.no_picture(listing, reasons, named_folders))
    bare = [item.path for item in gathered.items if not item.caption]
    warnings += sentences.captions(bare, gathered.empty, gathered.long, extension, shared.is_reg)
    if not any(item.captioned for item in gathered.items):
        stems = {stem_of(item.path.name) for item in gathered.items}
        warnings += sentences.other_extension(stems, [source.listing for source in sources], extension)
    return Scan(gathered.items, gathered.skipped, problems, warnings)


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


def _sources(
    shared: Subset, listing: Listing, endings: Collection[str], named_folders: bool
) -> tuple[list[Source], list[Skipped], list[str]]:
    """Decides between the two layouts and tells what the choice leaves out."""
    named = {name: parsed for name in listing.folders if named_folders and (parsed := repeats_and_caption(name))}
    why = ("its name does not begin with a number of repeats and '_'; rename it to 10_caption to use it"
           if named_folders else "sub-folders are not read; give it a [[datasets.subsets]] of its own")
    skipped = [Skipped(listing.folder / name, why) for name in listing.folders
               if name not in named and _holds_pictures(listing.folder / name, endings)]
    if not named:
        warnings = _flat_by_mistake(shared) if named_folders else []
        return [Source(listing, shared)], skipped, warnings
    skipped += [Skipped(listing.folder / name, "it lies beside N_caption folders; move it into one of them to use it")
                for name in listing.files if ending(name) in endings]
    return [
        Source(list_folder(listing.folder / name),
                replace(shared, name=name, repeats=count, class_tokens=caption), f"{name}/")
        for name, (count, caption) in named.items()
    ], skipped, []


def _flat_by_mistake(shared: Subset) -> list[str]:
    parsed = repeats_and_caption(shared.name)
    return [
        f"The folder {shared.name!r} is read as a flat folder with {shared.repeats} repeats; for the {parsed[0]} "
        f"repeats and the caption of its name enter the folder above it."
    ] if parsed and "_" in shared.name else []


def _holds_pictures(folder: Path, endings: Collection[str]) -> bool:
    try:
        return any(ending(name) in endings for name in list_folder(folder).files)
    except UserError:
        # A folder that cannot be opened is named too: better one line too many than a lost picture.
        return True


def _pictures(listing: Listing, endings: Collection[str]) -> tuple[list[str], list[Skipped]]:
    pictures = [name for name in listing.files if ending(name) in endings]
    foreign = [
        Skipped(listing.folder / name, f"{ending(name)} files are not read here; save it as .png")
        for name in listing.files if ending(name) in OTHER_PICTURES and ending(name) not in endings
    ]
    return pictures, foreign


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
