"""The ledger of files: right while a file is untouched, silent after any change, never in the way."""
from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib_trainer.data.scanning.known_files import Known, KnownFiles


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "pictures.sqlite"


def test_a_file_is_known_to_the_next_run(tmp_path: Path, ledger: Path) -> None:
    path = tmp_path / "日本 '\".png"
    digest = written(path, "one")
    first = KnownFiles(ledger)
    assert first.find(path) is None
    assert first.read(path) == (b"one", digest)
    assert first.find(path) == Known(digest, whole=False)
    first.mark_whole(path)
    first.close()
    assert KnownFiles(ledger).find(path) == Known(digest, whole=True)


def test_a_touched_file_is_unknown(tmp_path: Path, ledger: Path) -> None:
    path = tmp_path / "a.png"
    written(path, "one")
    known = KnownFiles(ledger)
    known.read(path)
    known.mark_whole(path)
    before = path.stat()
    written(path, "two")  # the same size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # and the same time: only the time of change tells
    if sys.platform != "win32":
        assert known.find(path) is None
        known.read(path)
        assert known.find(path) == Known(hashlib.sha256(b"two").hexdigest(), whole=False)
    written(path, "three")
    assert known.find(path) is None
    path.unlink()
    assert known.find(path) is None


def test_many_files_on_many_threads(tmp_path: Path, ledger: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(600)]
    for path in paths:
        written(path, path.name)
    known = KnownFiles(ledger)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(known.read, paths))
        list(pool.map(known.mark_whole, paths[-50:]))
    assert [found.whole for path in paths if (found := known.find(path))] == [False] * 550 + [True] * 50
    known.close()
    assert all(KnownFiles(ledger).find(path) for path in (paths[0], paths[300], paths[-1]))


def test_a_damaged_ledger_is_begun_anew(tmp_path: Path, ledger: Path) -> None:
    ledger.parent.mkdir()
    ledger.write_bytes(b"no database" * 1000)
    path = tmp_path / "a.png"
    digest = written(path, "one")
    known = KnownFiles(ledger)
    known.read(path)
    known.close()
    assert KnownFiles(ledger).find(path) == Known(digest, whole=False)


def test_where_no_ledger_can_be_had_everything_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    path = tmp_path / "a.png"
    digest = written(path, "one")
    known = KnownFiles(tmp_path / "in the way" / "pictures.sqlite")
    assert known.read(path)[1] == digest and known.find(path) == Known(digest, whole=False)
    known.close()


def test_a_program_that_is_killed_leaves_a_usable_ledger(tmp_path: Path, ledger: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(300)]
    for path in paths:
        written(path, path.name)
    script = ("import os, sys; from pathlib import Path; from lib_trainer.data.scanning.known_files import KnownFiles\n"
              "known = KnownFiles(Path(sys.argv[1]))\n"
              "for number in range(300): known.read(Path(sys.argv[2]) / f'{number}.png')\n"
              "os._exit(9)")
    assert subprocess.run([sys.executable, "-c", script, ledger, tmp_path], check=False).returncode == 9
    known = KnownFiles(ledger)
    assert known.find(paths[0]) is not None and known.find(paths[-1]) is None  # the last ones were not written yet
    known.read(paths[-1])
    known.close()
    assert KnownFiles(ledger).find(paths[-1]) is not None
