"""What lies in a folder: names of files and sub-folders, in an order that every machine agrees on."""
from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.data.scanning.names import natural_key, stem_of
from lib_trainer.errors import UserError


@dataclass(frozen=True)
class Listing:
    """The names in a folder in natural order, without hidden ones (`.DS_Store`, macOS' `._picture.png`)."""

    folder: Path
    files: list[str]
    folders: list[str]


def list_folder(folder: Path) -> Listing:
    """Lists a folder.

    Raises:
        UserError: there is no such folder, or it cannot be opened.
    """
    try:
        with os.scandir(folder) as entries:
            found = {entry.name: entry.is_dir() for entry in entries if not entry.name.startswith(".")}
    except FileNotFoundError:
        raise UserError(f"The folder {str(folder)!r} does not exist: check the path{_nearest(folder)}.") from None
    except NotADirectoryError:
        raise UserError(f"{str(folder)!r} is a file: enter the folder that holds the pictures.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"The folder {str(folder)!r} cannot be opened ({error}): check path and rights.") from None
    names = sorted(found, key=natural_key)
    return Listing(folder, [name for name in names if not found[name]], [name for name in names if found[name]])


def _nearest(folder: Path) -> str:
    existing = next((parent for parent in folder.parents if parent.is_dir()), None)
    return f"; it exists as far as {str(existing)!r}" if existing and folder.is_absolute() else ""


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Maps stems to files; the case-folded stem finds one too, as it does where file systems know no case."""
    exact = {stem_of(name): name for name in names}
    return {stem.casefold(): name for stem, name in exact.items()} | exact
