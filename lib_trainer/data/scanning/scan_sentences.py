"""What a scan of a picture folder tells the person: one sentence per kind of fault, with count and first names.

A folder of ten thousand pictures without captions must give one sentence, not ten thousand.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lib_trainer.data.scanning.listing import Listing


def unreadable_captions(by_fault: dict[str, list[Path]]) -> list[str]:
    """Faults of caption files that cannot be read, by what is wrong with them."""
    return [f"{named(paths, 'caption file')} cannot be used ({fault}): save as UTF-8 text, or remove."
            for fault, paths in by_fault.items()]


def captions(
    bare: Sequence[Path], empty: Sequence[Path], long: Sequence[Path], extension: str, is_reg: bool
) -> list[str]:
    """What is missing in captions, or not used of them.

    Args:
        bare: pictures without any caption. empty, long: pictures whose caption file has no text, or several lines.
        extension: ending of caption files. is_reg: whether these are regularisation pictures.
    """
    return [
        *empty_captions([path.with_suffix(extension) for path in empty]), *bare_pictures(bare, extension, is_reg),
        *long_captions([path.with_suffix(extension) for path in long]),
    ]


def empty_captions(paths: Sequence[Path]) -> list[str]:
    """Caption files without text; sd-scripts ends the run there."""
    return [f"{named(paths, 'caption file')} without any text: treated as if missing; write a caption or delete it."
            ] if paths else []


def bare_pictures(paths: Sequence[Path], extension: str, is_reg: bool) -> list[str]:
    """Pictures for which no caption was found anywhere; 'Caption without file' is for training pictures only."""
    kind = "regularisation picture" if is_reg else "picture"
    otherwise = "put them into a sub-folder named like 1_woman" if is_reg else "fill in 'Caption without file'"
    return [f"{named(paths, kind)} will be trained with an empty caption: add {extension} files, or {otherwise}."
            ] if paths else []


def long_captions(paths: Sequence[Path]) -> list[str]:
    """Caption files with more than one line, of which one is read."""
    return [f"{named(paths, 'caption file')} with several lines: only the first is used; join the lines with commas, "
            "or switch 'Wildcards' on to use another line each time."] if paths else []


def other_extension(stems: set[str], listings: Iterable[Listing], extension: str) -> list[str]:
    """The field's most frequent question: captions are there, but end otherwise than the setting says.

    Args:
        stems: names of the pictures without ending.
        listings: the folders they lie in.
        extension: ending of the caption files that was asked for.
    """
    files = [Path(name) for listing in listings for name in listing.files]
    for ending in (".txt", ".caption", ".cap"):
        found = [path for path in files if path.suffix.lower() == ending and path.stem in stems]
        if found and ending != extension:
            return [f"No {extension} caption was found, but {named(found, ending + ' file')}: "
                    f"set 'Caption files' to {ending} if these are the captions."]
    return []


def named(paths: Sequence[Path], what: str) -> str:
    """Returns such as "12 pictures (a.png, b.png, c.png, ...)"."""
    names = ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    return f"{_counted(len(paths), what)} ({names})"


def no_picture(listing: Listing, reasons: Sequence[str], named_folders: bool = True) -> str:
    """The error for a folder without a usable picture: what it holds instead, and what is expected."""
    files, folders = len(listing.files), len(listing.folders)
    found = f"{_counted(folders, 'folder')} and {_counted(files, 'file')}" if files or folders else "nothing"
    named = ", or with sub-folders named like 10_caption" if named_folders else ""
    return (f"No usable picture in {str(listing.folder)!r}, which holds {found}: give a folder with .png, .jpg, .webp "
            f"or .bmp pictures{named}.{''.join(' ' + reason for reason in reasons)}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def uncaptioned_in(metadata: Path, paths: Sequence[Path]) -> list[str]:
    """Pictures of a metadata file that have neither caption nor tags there."""
    return [f"{named(paths, 'picture')} will be trained with an empty caption: {metadata} has neither caption nor tags "
            "for them."] if paths else []


def first_few(faults: Sequence[str]) -> list[str]:
    """The first faults of one kind word for word, the others counted."""
    return [*faults[:10], *([f"... and {len(faults) - 10} more of this kind."] if len(faults) > 10 else [])]
