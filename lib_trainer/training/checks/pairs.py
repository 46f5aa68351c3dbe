"""The pairs among the pictures of a source: what belongs together, and what has no other half."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lib_trainer.data.item import Item
from lib_trainer.data.scanning import pairs, scan_sentences
from lib_trainer.data.scanning.gathering import Scan
from lib_trainer.data.scanning.names import clean_path
from lib_trainer.data.scanning.pairs import Paired
from lib_trainer.errors import UserError
from lib_trainer.training.datasets import Source


def read(source: Source, scan: Callable[[Source], Scan]) -> Scan:
    """Opens a source of pairs.

    Args:
        source: with the endings of the names.
        scan: opens a source of pictures that stand alone.

    Returns:
        The first pictures with their partners, and everything that is to be told.

    Raises:
        UserError: a folder cannot be opened.
    """
    first, apart = _scanned(source, scan), None
    if source.after:
        subset = replace(source.subset, prefix="after/")
        apart = _scanned(replace(source, subset=subset, folder=source.after, metadata_file=""), scan)
    found = _paired(source, first.items, apart.items if apart else None)
    scans = [first, *([apart] if apart else [])]
    bare = [one.path for item in found.items for one in pairs.sides([item]) if not one.caption]
    told = scan_sentences.bare_pictures(bare, source.caption_extension, False)
    faults = [problem for one in scans for problem in one.problems]
    if not found.items and not found.problems and not faults:
        faults.append("There is no pair among the pictures.")
    return Scan(found.items, [skip for one in scans for skip in one.skipped], [*faults, *found.problems],
                [*(warning for one in scans for warning in _kept(one, source)), *told, *found.warnings])


def _scanned(source: Source, scan: Callable[[Source], Scan]) -> Scan:
    if not _is_file(source.folder):
        return scan(source)
    return pairs.read_one(clean_path(source.folder), source.subset, source.caption_extension, source.class_tokens)


def _is_file(folder: str) -> bool:
    return bool(folder.strip()) and clean_path(folder).is_file()


def _paired(source: Source, first: list[Item], second: list[Item] | None) -> Paired:
    """Raises UserError: one side is a picture and the other a folder."""
    endings = source.endings or pairs.Endings()
    files = _is_file(source.folder), _is_file(source.after)
    if second is None:
        if files[0]:
            raise UserError(f"images = {source.folder!r} is one picture, and the picture after it is missing: fill in "
                            "'Pictures after' (after_images), or give a folder.")
        return pairs.pair_in_one(first, endings)
    if files[0] != files[1]:
        one, other = ("images", "after_images") if files[0] else ("after_images", "images")
        raise UserError(f"{one} is one picture and {other} a folder: give two pictures, or two folders.")
    if files[0]:
        if first and second and first[0].path == second[0].path:
            raise UserError(f"images and after_images are the same picture, {source.folder!r}: give the picture after "
                            "the change.")
        return pairs.pair_of_two(first[0], second[0]) if first and second else Paired([], [*first, *second], [], [])
    return pairs.pair_in_two(first, second, endings)


def _kept(found: Scan, source: Source) -> list[str]:
    """Returns the warnings of a scan but that of missing captions: one caption may do for both pictures of a pair."""
    bare = [item.path for item in found.items if not item.caption]
    return [warning for warning in found.warnings
            if warning not in scan_sentences.bare_pictures(bare, source.caption_extension, False)]
