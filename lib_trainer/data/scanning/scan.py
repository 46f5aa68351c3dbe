"""Finding the training pictures: which files, how often, with which caption.

Two layouts are read. Either the folder holds sub-folders named `N_caption` (N = repeats; the rest is the caption of
pictures that have no caption file), or it holds the pictures themselves. Only headers are opened here, so that tens of
thousands of pictures are listed in seconds; `verify.py` finds the files that end in the middle. Nothing is passed over
silently: what is not used stands in `skipped` with its reason, what must be mended in `problems`, what a person should
know in `warnings`.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from lib_trainer.data.scanning import scan_sentences as sentences
from lib_trainer.data.scanning.gathering import Gathered, Scan, Skipped, Source, gather, read
from lib_trainer.data.scanning.listing import Listing, by_stem, list_folder
from lib_trainer.data.scanning.names import (
    OTHER_PICTURES,
    clean_path,
    ending,
    readable_endings,
    repeats_and_caption,
    stem_of,
)
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError


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
