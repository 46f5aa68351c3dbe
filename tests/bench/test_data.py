"""The measurement of big data sets, on a small one."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.bench import data


def test_every_picture_is_counted_and_stays_small(tmp_path: Path) -> None:
    told: list[str] = []
    costs = data.measure(tmp_path, 1500, told.append)
    # A thousand pictures of a folder with 1 repeat, 500 of one with 2.
    assert (costs.pictures, costs.uses) == (1500, 2000)
    # Its caption of 20 tags takes 220, its file's name, the item and its place in the plan the others.
    assert costs.bytes_per_picture < 1000
    assert min(costs.scan, costs.plan, costs.epoch) > 0 and len(told) == 3
