"""The report of a plan: what is cut away, what is enlarged, sorted and paged."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.bucket_report import ORDERS, BucketReport
from lib_trainer.data.buckets import Buckets
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.plan import Plan
from lib_trainer.errors import UserError
from tests.data_tests.items import item


def report(*sizes: tuple[int, int], buckets: Buckets | None = None) -> BucketReport:
    items = [item(f"{number}.png", repeats=number + 1, size=size) for number, size in enumerate(sizes)]
    return BucketReport(Plan([Dataset(items, buckets or Buckets(128, 128, 64))], seed=1))


def test_what_is_cut_away_and_enlarged() -> None:
    found = report((256, 256), (300, 80), (64, 64))
    square, wide, small = found.rows("name")
    assert (square.bucket, square.resized, square.cut, square.enlarged) == ((128, 128), (128, 128), 0, 1)
    # 300x80 covers 256x64 at 256x68: four of 68 lines are cut off, two above.
    assert (wide.bucket, wide.resized, wide.crop) == ((256, 64), (256, 68), (0, 2))
    assert wide.cut == pytest.approx(4 / 68)
    assert (small.enlarged, small.uses) == (2, 3)
    assert [(row.bucket, row.pictures, row.uses, row.enlarged) for row in found.buckets] == [
        ((128, 128), 2, 4, 1), ((256, 64), 1, 2, 0)]
    assert (found.pictures, found.enlarged) == (3, 1)


def test_orders_put_first_what_needs_a_look() -> None:
    found = report((128, 128), (300, 80), (32, 32), (64, 64), (110, 200))
    by = {order: [row.number for row in found.rows(order)] for order in ORDERS}
    keys = {row.number: row for row in found.rows()}
    assert [keys[number].cut for number in by["cut"]] == sorted((row.cut for row in keys.values()), reverse=True)
    assert [keys[number].key for number in by["enlarged"]][:2] == ["2.png", "3.png"]
    assert keys[by["uses"][0]].key == "4.png" and keys[by["size"][0]].key == "2.png"
    assert [keys[number].key for number in by["name"]] == [f"{number}.png" for number in range(5)]


def test_pages_and_buckets() -> None:
    found = report(*[(128, 128)] * 7, (300, 80))
    assert [row.key for row in found.rows("name", 2, 3)] == ["2.png", "3.png", "4.png"]
    assert [row.key for row in found.rows("name", 0, 50, (256, 64))] == ["7.png"]
    assert (found.count(), found.count((256, 64)), found.count((1, 1))) == (8, 1, 0)
    told = found.to_json("cut", 6, 50)
    assert (told["of"], len(told["rows"]), len(told["buckets"])) == (8, 2, 2)


def test_a_crop_that_is_drawn_is_told() -> None:
    moving = item("a.png", pictures=PictureRules(random_crop=True))
    assert BucketReport(Plan([Dataset([moving], Buckets(128, 128, 64))], seed=1)).rows()[0].moves


def test_an_unknown_order() -> None:
    with pytest.raises(UserError, match="not by 'colour'"):
        report((64, 64)).rows("colour")


@given(sizes=st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=20),
       no_upscale=st.booleans())
def test_numbers_stay_in_their_ranges(sizes: list[tuple[int, int]], no_upscale: bool) -> None:
    found = report(*sizes, buckets=Buckets(128, 128, 64, no_upscale=no_upscale))
    assert sum(row.pictures for row in found.buckets) == len(sizes)
    for row in found.rows(count=len(sizes)):
        assert 0 <= row.cut < 1 and row.enlarged >= 1
        # Without enlarging only a picture that is smaller than a step is.
        assert not no_upscale or row.enlarged == 1 or min(row.width, row.height) < 64 or max(row.resized) <= 64
