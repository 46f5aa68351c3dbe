"""How big a cache is, and emptying it."""
from __future__ import annotations

import os
from pathlib import Path

import torch

from lib_trainer.data.caches import cache_files, cache_folder
from lib_trainer.data.caches.cache_folder import CacheSize


def kept(folder: Path, count: int) -> list[Path]:
    files = [cache_files.place(folder, cache_files.digest("x", number)) for number in range(count)]
    for file in files:
        cache_files.write(file, {"a": torch.zeros(3)})
    return files


def test_size_and_clearing(tmp_path: Path) -> None:
    files = kept(tmp_path, 5)
    (tmp_path / "note.txt").write_text("not ours")
    (files[0].parent / "photo.png").write_text("not ours either")
    files[1].with_suffix(".1-2.tmp").write_text("half")
    size = sum(file.stat().st_size for file in files) + 4
    assert cache_folder.measure(tmp_path) == CacheSize(6, size) == cache_folder.clear(tmp_path)
    assert cache_folder.measure(tmp_path) == CacheSize(0, 0)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["note.txt", "photo.png"]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [files[0].parent.name]


def test_a_missing_folder_is_empty(tmp_path: Path) -> None:
    assert cache_folder.measure(tmp_path / "none") == cache_folder.clear(tmp_path / "none") == CacheSize(0, 0)


def test_only_abandoned_temporary_files_are_swept(tmp_path: Path) -> None:
    files = kept(tmp_path, 2)
    old, new = files[0].with_suffix(".1-1.tmp"), files[1].with_suffix(".2-2.tmp")
    for file in (old, new):
        file.write_text("half")
    os.utime(old, (1, 1))
    assert cache_folder.sweep(tmp_path) == 1
    assert not old.exists() and new.exists() and all(file.exists() for file in files)
