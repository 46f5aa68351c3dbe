"""Dropped pictures become a dataset folder: the person drags files onto the page and gets a folder to train on.

Names are kept (captions find their pictures by name), nothing is overwritten, and a file appears whole or not at all.
"""
from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from lib_trainer.data.scanning import names
from lib_trainer.errors import UserError

CAPTIONS = frozenset({".txt", ".caption"})

_FORBIDDEN = '<>:"/\\|?*'


def add(datasets: Path, name: str, files: Iterable[tuple[str, IO[bytes]]]) -> tuple[Path, list[str]]:
    """Puts files into `datasets/name`, which is made when it is missing.

    Args:
        datasets: the folder that holds the dropped datasets; made when missing.
        name: name of the dataset, one folder name.
        files: file name as the browser sends it (a path of a dropped folder keeps only its last part) and content.

    Returns:
        The folder, and one sentence per file that was not taken.

    Raises:
        UserError: the name cannot be a folder's, no file was taken, or the disk refuses.
    """
    bare = name.strip().rstrip(".")
    if not bare or any(sign in _FORBIDDEN or ord(sign) < 32 for sign in bare):
        raise UserError(f"The dataset's name {name!r} cannot be a folder's: use letters, digits, - and _.")
    folder = datasets / bare
    taken, refused = 0, []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file_name, content in files:
            reason = _put(folder, file_name, content)
            taken += not reason
            refused += [reason] if reason else []
    except OSError as error:
        raise UserError(
            f"The pictures cannot be written to {folder} ({error.strerror}): make room or check rights.") from None
    if not taken:
        reasons = " ".join(refused) or "No files came."
        raise UserError(
            f"No picture was added to {folder}: {reasons} Drop pictures ({_endings()}) and their .txt captions.")
    return folder, refused


def _put(folder: Path, file_name: str, content: IO[bytes]) -> str:
    """Writes one file; returns why it was refused, "" when it was taken."""
    base = PurePosixPath(file_name.replace("\\", "/")).name
    if base.startswith(".") or any(sign in _FORBIDDEN or ord(sign) < 32 for sign in base):
        return f"{file_name!r} is no usable file name."
    if Path(base).suffix.lower() not in names.PICTURES | names.OPTIONAL_PICTURES | CAPTIONS:
        return f"{base} is neither a picture nor a caption."
    target = folder / base
    if target.exists():
        return f"{base} is there already and was left as it is."
    descriptor, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(content, file)
        os.replace(temporary, target)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    return ""


def _endings() -> str:
    return ", ".join(sorted(names.PICTURES))
