"""Finding broken pictures before the run, and reading ahead on threads."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_trainer.data.scanning.reading_ahead import read_ahead
from lib_trainer.data.scanning.scan import scan
from lib_trainer.data.scanning.verify import verify
from tests.data_tests.drawn import noisy, truncate


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_truncated_pictures_are_found(ending: str, tmp_path: Path) -> None:
    for index in range(6):
        noisy(tmp_path / f"{index}.{ending}")
    truncate(tmp_path / f"3.{ending}")
    found = scan(tmp_path, trigger="x")
    assert len(found.items) == 6  # the header alone is whole
    passed = list(verify(found.items))
    assert [(one.done, one.total) for one in passed] == [(done, 6) for done in range(1, 7)]
    (broken,) = (one.skipped for one in passed if one.skipped)
    assert broken.path.stem == "3" and "broken or cut short" in broken.reason


def test_verifying_can_be_stopped(tmp_path: Path) -> None:
    for index in range(4):
        noisy(tmp_path / f"{index}.png")
    assert len(list(verify(scan(tmp_path).items, stopping=lambda: True))) == 1


def test_read_ahead_keeps_order_and_bounds_memory() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number

    for seen, (task, result) in enumerate(read_ahead(tasks(), lambda number: number * number, workers=3, ahead=5), 1):
        assert (task, result) == (seen - 1, (seen - 1) ** 2)
        assert taken <= seen + 5


def test_threads_end_with_the_caller() -> None:
    before = set(threading.enumerate())
    reading = read_ahead(range(100), str, workers=3, ahead=5)
    next(reading)
    reading.close()
    assert set(threading.enumerate()) <= before


def test_errors_reach_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(read_ahead([1, 0], lambda number: 1 // number, workers=2, ahead=2))
