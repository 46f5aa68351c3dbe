"""Finding the training pictures: which files, how often, with which caption.

Two layouts are read. Either the folder holds sub-folders named `N_caption` (N = repeats; the rest is the caption of
pictures that have no caption file), or it holds the pictures themselves. Only headers are opened here, so that tens of
thousands of pictures are listed in seconds; `verify.py` finds the files that end in the middle. Nothing is passed over
silently: what is not used stands in `skipped` with its reason, what must be mended in `problems`, what a person should
know in `warnings`.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lib_trainer.data import scan_sentences as sentences
from lib_trainer.data.caption_files import UnreadableCaption, read_caption
from lib_trainer.data.names import (
    OTHER_PICTURES,
    clean_path,
    natural_key,
    readable_endings,
    repeats_and_caption,
)
from lib_trainer.data.opening import UnreadablePicture, read_size
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError

_READERS = 8
"""Threads that read headers: a picture folder may lie on a network disk."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to train on; what it has in common with others is in its subset, so that it stays small.

    Attributes:
        subset: what it shares with the pictures around it.
        file: its path inside the subset's root, with "/".
        caption: what it trains with when nothing is shuffled or dropped; may be empty.
        width: pixels of the upright picture. height: likewise.
        captioned: whether a caption that is not empty was written for it.
    """

    subset: Subset
    file: str
    caption: str
    width: int
    height: int
    captioned: bool

    @property
    def path(self) -> Path:
        """The file."""
        return self.subset.root / self.file

    @property
    def key(self) -> str:
        """Its name inside the run, independent of where the data set lies: with "/"."""
        return self.subset.prefix + self.file

    @property
    def repeats(self) -> int:
        """Uses per epoch, >= 1."""
        return self.subset.repeats

    @property
    def is_reg(self) -> bool:
        """Whether it is a regularisation picture."""
        return self.subset.is_reg

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
class _Source:
    """A folder whose pictures share repeats and fall-back caption."""

    folder: Path
    subset: Subset
    caption: str


@dataclass(frozen=True)
class _Found:
    """What the reading of one picture found out; the sentences are made from all of them together.

    Attributes:
        skip: why the picture is not used. unreadable: what is wrong with its caption file.
        empty: whether the caption file has no text. long: whether it has more than one line.
    """

    path: Path
    item: Item | None = None
    skip: str = ""
    unreadable: str = ""
    empty: bool = False
    long: bool = False


def scan(
    folder: Path | str, *, subset: Subset | None = None, caption_extension: str = ".txt", trigger: str = ""
) -> Scan:
    """Lists the pictures of a folder with size, repeats and caption.

    Args:
        folder: the folder, as typed by a person.
        subset: what the pictures have in common, None = nothing special; its name and root are set here, and so are
            the repeats of N_caption sub-folders.
        caption_extension: ending of the caption files; the dot may be missing.
        trigger: caption of pictures of a flat folder that have no caption file.

    Raises:
        UserError: no such folder, or no picture in it.
    """
    root = clean_path(folder)
    shared = replace(subset or Subset(""), name=root.name, root=root)
    entries = _entries(root)
    endings = readable_endings()
    sources, skipped, warnings = _sources(shared, entries, trigger, endings)
    extension = "." + caption_extension.strip().lstrip(".").lower()
    found: list[_Found] = []
    files_seen: list[Path] = []
    for source in sources:
        files = entries if source.folder == root else _entries(source.folder)
        pictures, passed_over = _pictures(files, endings)
        skipped += passed_over
        files_seen += files
        captions = _by_stem(file for file in files if file.suffix.lower() == extension)
        with ThreadPoolExecutor(_READERS) as pool:
            found += pool.map(partial(_read, source, captions), pictures)
    items = [one.item for one in found if one.item]
    skipped += [Skipped(one.path, one.skip) for one in found if one.skip]
    problems = _problems(found, extension)
    if not items and not problems:
        reasons = [f"{skip.path.name}: {skip.reason}." for skip in skipped[:3]]
        raise UserError(sentences.no_picture(root, entries, reasons))
    return Scan(items, skipped, problems, warnings + _warnings(found, files_seen, extension, shared.is_reg))


def _entries(folder: Path) -> list[Path]:
    """Returns the folder's entries in natural order, without hidden ones (`.DS_Store`, macOS' `._picture.png`)."""
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        raise UserError(f"The folder {str(folder)!r} does not exist: check the path{_nearest(folder)}.") from None
    except NotADirectoryError:
        raise UserError(f"{str(folder)!r} is a file: enter the folder that holds the pictures.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"The folder {str(folder)!r} cannot be opened ({error}): check path and rights.") from None
    return sorted(found, key=lambda path: natural_key(path.name))


def _nearest(folder: Path) -> str:
    existing = next((parent for parent in folder.parents if parent.is_dir()), None)
    return f"; it exists as far as {str(existing)!r}" if existing and folder.is_absolute() else ""


def _sources(
    shared: Subset, entries: list[Path], trigger: str, endings: Collection[str]
) -> tuple[list[_Source], list[Skipped], list[str]]:
    """Decides between the two layouts and tells what the choice leaves out."""
    folders = [path for path in entries if path.is_dir()]
    named = {path: parsed for path in folders if (parsed := repeats_and_caption(path.name))}
    skipped = [
        Skipped(path, "its name does not begin with a number of repeats and '_'; rename it to 10_caption to use it")
        for path in folders
        if path not in named and _holds_pictures(path, endings)
    ]
    if not named:
        parsed = repeats_and_caption(shared.name)
        warnings = [
            f"The folder {shared.name!r} is read as a flat folder with {shared.repeats} repeats; for the {parsed[0]} "
            f"repeats and the caption of its name enter the folder above it."
        ] if parsed and "_" in shared.name else []
        return [_Source(shared.root, shared, trigger)], skipped, warnings
    loose = [path for path in entries if path.suffix.lower() in endings and path not in folders]
    skipped += [Skipped(path, "it lies beside N_caption folders; move it into one of them to use it") for path in loose]
    return [_Source(path, replace(shared, name=path.name, repeats=count), caption)
            for path, (count, caption) in named.items()], skipped, []


def _holds_pictures(folder: Path, endings: Collection[str]) -> bool:
    try:
        return any(path.suffix.lower() in endings for path in folder.iterdir())
    except OSError:
        # A folder that cannot be opened is named too: better one line too many than a lost picture.
        return True


def _pictures(files: list[Path], endings: Collection[str]) -> tuple[list[Path], list[Skipped]]:
    pictures = [path for path in files if path.suffix.lower() in endings and not path.is_dir()]
    foreign = [
        Skipped(path, f"{path.suffix} files are not read here; save it as .png")
        for path in files
        if path.suffix.lower() in OTHER_PICTURES and path.suffix.lower() not in endings
    ]
    return pictures, foreign


def _by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Maps stems to files; the case-folded stem finds one too, as it does where file systems know no case."""
    exact = {file.stem: file for file in files}
    return {stem.casefold(): file for stem, file in exact.items()} | exact


def _read(source: _Source, captions: dict[str, Path], path: Path) -> _Found:
    """Reads header and caption of one picture."""
    try:
        width, height = read_size(path)
    except UnreadablePicture as error:
        return _Found(path, skip=str(error))
    file, text, more = captions.get(path.stem) or captions.get(path.stem.casefold()), "", 0
    if file is not None:
        try:
            text, more = read_caption(file, source.subset.captions.wildcards)
        except UnreadableCaption as error:
            return _Found(path, unreadable=str(error))
    item = Item(
        source.subset, path.relative_to(source.subset.root).as_posix(), text or source.caption, width, height,
        captioned=bool(text),
    )
    return _Found(path, item, empty=file is not None and not text, long=more > 0)


def _problems(found: list[_Found], extension: str) -> list[str]:
    kinds: dict[str, list[Path]] = {}
    for one in found:
        if one.unreadable:
            kinds.setdefault(one.unreadable, []).append(one.path.with_suffix(extension))
    return sentences.unreadable_captions(kinds)


def _warnings(found: list[_Found], files: list[Path], extension: str, is_reg: bool) -> list[str]:
    items = [one.item for one in found if one.item]
    captioned = any(item.captioned for item in items)
    return [
        *sentences.empty_captions([one.path.with_suffix(extension) for one in found if one.empty]),
        *sentences.bare_pictures([item.path for item in items if not item.caption], extension, is_reg),
        *sentences.long_captions([one.path.with_suffix(extension) for one in found if one.long]),
        *([] if captioned else sentences.other_extension({item.path.stem for item in items}, files, extension)),
    ]
