"""Files that are there completely or not at all.

The content goes to a temporary file beside the target, is forced to the disk and only then gets the name, without
overwriting: a kill or a full disk leaves at most a hidden `.NAME.XXXX.tmp`, which the next write of the same name
removes.
"""
from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lib_trainer.errors import UserError


def write(path: Path, content: bytes, overwrite: bool = False) -> None:
    """Writes a file completely or not at all.

    Args:
        path: the final file; a missing folder is made.
        content: its bytes.
        overwrite: whether an existing file may be replaced (in one step, never half).

    Raises:
        UserError: the name is taken, the disk is full or the folder cannot be written.
    """
    with writing(path, len(content), overwrite) as file:
        file.write(content)


@contextmanager
def writing(path: Path, size: int, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Yields a file to be written piece by piece; it gets its name when the block ends well, and is gone otherwise.

    Args:
        path: the final file; a missing folder is made, and taken away again if nothing comes of the file.
        size: bytes that it will have, for the sentence of a full disk.
        overwrite: as for `write`.

    Raises:
        UserError: as `write`; whatever else the block raises passes through.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    missing = [folder for folder in (path.parent, *path.parent.parents) if not os.path.exists(folder)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        with temporary.open("xb") as file:
            with contextlib.suppress(OSError):  # a file system without locks must not stop a save
                _lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        _publish(temporary, path, overwrite)
    except OSError as error:
        lost_race = isinstance(error, FileExistsError) and path.exists()
        raise (taken(path) if lost_race else _cannot_write(path, size, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # one that is not empty, or whose file is there, stays
            for folder in missing:
                folder.rmdir()


def taken(path: Path) -> UserError:
    """Returns the error of a name that is taken."""
    return UserError(f"The file '{path}' exists and is never overwritten. Choose another name, or move that file.")


def _publish(temporary: Path, path: Path, overwrite: bool) -> None:
    """Gives the written file its name in one step; without `overwrite` an existing file wins, also in a race."""
    if overwrite:
        os.replace(temporary, path)
    elif sys.platform == "win32":
        os.rename(temporary, path)
    else:
        try:
            os.link(temporary, path)
        except OSError as error:
            # File systems without hard links (exFAT, some network shares) cannot refuse to replace in one step.
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS) or path.exists():
                raise
            os.rename(temporary, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Forces the new name to the disk where the system can; the content is safe already, so a refusal is no fault."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _lock(file: BinaryIO) -> None:
    """Marks a temporary file as being written, until it is closed. (Windows refuses to delete an open file anyway.)

    Raises:
        OSError: another process is writing it.
    """
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_stale(path: Path) -> None:
    """Removes temporary files that a killed save of the same name left; one that is being written is left alone."""
    beginning = f".{path.name}."
    for stale in path.parent.iterdir():
        if stale.name.startswith(beginning) and stale.suffix == ".tmp":
            with contextlib.suppress(OSError):
                with stale.open("rb") as file:
                    _lock(file)
                stale.unlink()


def _cannot_write(path: Path, size: int, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(
            f"The disk is full: '{path}' needs {size / 1e6:.1f} MB ({error.strerror}). Free some space and save again."
        )
    return UserError(
        f"Cannot write '{path}': {error.strerror or error}. Check the folder's permissions, or save to another folder."
    )
