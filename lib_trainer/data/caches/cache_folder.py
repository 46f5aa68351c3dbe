"""The folder of kept latents and text states: how big it is, and emptying it.

Nothing is removed by itself: a file is found only by what it was made from, so old ones do no harm but take room, and
whether a data set will be trained again only its owner knows.
"""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.data.caches.cache_files import ENDING, TEMPORARY
from lib_trainer.errors import UserError

_ABANDONED = 24 * 3600
"""Seconds after which a temporary file is taken for one of a program that was killed."""


@dataclass(frozen=True)
class CacheSize:
    """What lies in a cache folder: `files` and their `bytes`."""

    files: int
    bytes: int


def measure(folder: Path) -> CacheSize:
    """Returns how many files lie in a cache folder, and how big they are; a missing folder is empty."""
    sizes = [size for file in _files(folder) if (size := _size(file)) is not None]
    return CacheSize(len(sizes), sum(sizes))


def clear(folder: Path) -> CacheSize:
    """Removes all files of a cache folder, and no others; returns what was removed.

    Raises:
        UserError: a file cannot be removed; what was removed before stays removed.
    """
    files = total = 0
    for file in _files(folder):
        size = _size(file) or 0
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"The cached file {file} cannot be removed ({error.strerror}): close what uses it, then "
                            "clear the cache again.") from None
        files, total = files + 1, total + size
    for place in sorted(folder.glob("??")):
        with suppress(OSError):  # not empty: something else lies in it, which is not ours
            place.rmdir()
    return CacheSize(files, total)


def sweep(folder: Path) -> int:
    """Removes the temporary files of programs that were killed while they wrote; returns how many."""
    removed = 0
    oldest = time.time() - _ABANDONED
    for file in folder.glob(f"??/*{TEMPORARY}"):
        with suppress(OSError):
            if file.stat().st_mtime < oldest:
                file.unlink()
                removed += 1
    return removed


def _files(folder: Path) -> Iterator[Path]:
    for ending in (ENDING, TEMPORARY):
        yield from folder.glob(f"??/*{ending}")


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
