"""What was found out about files, remembered for as long as they are not touched: their hash, and that they are whole.

Reading a hundred gigabytes of pictures at every start only to learn that nothing changed takes longer than many a
training. As git does for its index, a file counts as the one of before while its size, its times and its number on the
disk are the same; a change that fakes all of these is not seen. The ledger is a small SQLite file, safe when several
programs write it or one is killed; where it cannot be used everything is read again, which is only slower.
"""
from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.errors import UserError

_TABLE = """create table if not exists files (
    path blob primary key, size integer, changed integer, created integer, inode text, hash text, whole integer
) without rowid"""
_AT_ONCE = 256
"""Files that are written together: a transaction for each would take a hundred times as long."""

_PATIENCE = 10.0
"""Seconds to wait for another program that writes."""


@dataclass(frozen=True)
class Known:
    """What is known of a file: the hex SHA-256 of its bytes, and whether it was decoded completely as a picture."""

    hash: str
    whole: bool


class KnownFiles:
    """The ledger; any thread may use it."""

    def __init__(self, file: Path | None = None) -> None:
        """Opens or makes a ledger; None = remember for this run only."""
        self._lock = threading.Lock()
        self._fresh: dict[bytes, tuple[tuple[int | str, ...], Known]] = {}
        self._unwritten: list[bytes] = []
        self._connection = _connect(file) if file else None

    def find(self, path: Path) -> Known | None:
        """Returns what is known of a file as it is now; None = nothing, or it is gone."""
        name = _name(path)
        try:
            stamp = _stamp(path)
        except OSError:
            return None
        with self._lock:
            known = self._fresh.get(name) or self._stored(name)
        return known[1] if known and known[0] == stamp else None

    def read(self, path: Path) -> tuple[bytes, str]:
        """Reads a file and remembers its hash; returns its bytes and the hash.

        Raises:
            OSError: it cannot be read.
        """
        stamp = _stamp(path)  # before reading: what is changed meanwhile then counts as another file
        content = path.read_bytes()
        known = self.find(path)
        found = Known(hashlib.sha256(content).hexdigest(), known is not None and known.whole)
        self._remember(_name(path), stamp, found)
        return content, found.hash

    def mark_whole(self, path: Path) -> None:
        """Remembers that a file that was read with `read` was decoded completely."""
        name = _name(path)
        with self._lock:
            known = self._fresh.get(name) or self._stored(name)
        if known:
            self._remember(name, known[0], Known(known[1].hash, True))

    def close(self) -> None:
        """Writes what is not written yet, and closes the file."""
        with self._lock:
            self._write()
            if self._connection:
                self._connection.close()
                self._connection = None

    def _remember(self, name: bytes, stamp: tuple[int | str, ...], known: Known) -> None:
        with self._lock:
            self._fresh[name] = stamp, known
            self._unwritten.append(name)
            if self._connection and len(self._unwritten) >= _AT_ONCE:
                self._write()

    def _stored(self, name: bytes) -> tuple[tuple[int | str, ...], Known] | None:
        if self._connection is None:
            return None
        try:
            row = self._connection.execute(
                "select size, changed, created, inode, hash, whole from files where path = ?", (name,)).fetchone()
        except sqlite3.Error:
            return None
        return (tuple(row[:4]), Known(row[4], bool(row[5]))) if row else None

    def _write(self) -> None:
        if self._connection is None:
            return
        rows = [(name, *self._fresh[name][0], self._fresh[name][1].hash, int(self._fresh[name][1].whole))
                for name in dict.fromkeys(self._unwritten)]
        with suppress(sqlite3.Error), self._connection:
            self._connection.executemany("insert or replace into files values (?, ?, ?, ?, ?, ?, ?)", rows)
            # Written ones are looked up again, so that memory does not grow with the data set.
            for name in self._unwritten:
                self._fresh.pop(name, None)
        self._unwritten.clear()


def forget(file: Path) -> None:
    """Removes a ledger.

    Raises:
        UserError: another program holds it.
    """
    for ending in ("", "-wal", "-shm"):
        part = file.with_name(file.name + ending)
        try:
            part.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{part} cannot be removed ({error.strerror}): end the training that uses it first."
                            ) from None


def _name(path: Path) -> bytes:
    return os.fsencode(path.absolute())


def _stamp(path: Path) -> tuple[int | str, ...]:
    found = path.stat()
    # SQLite's integers are signed 64 bits; the number of a file on ReFS has 128.
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, str(found.st_ino)


def _connect(file: Path) -> sqlite3.Connection | None:
    """Opens a ledger; one that is damaged is begun anew, and where none can be had there is None."""
    for attempt in range(2):
        connection = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(file, timeout=_PATIENCE, check_same_thread=False)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.execute(_TABLE)
            connection.execute("select * from files limit 1").fetchone()
            return connection
        except sqlite3.DatabaseError as error:
            if connection:
                connection.close()
            if attempt or isinstance(error, sqlite3.OperationalError):
                return None
            with suppress(OSError):
                file.unlink()
        except OSError:
            return None
    return None
