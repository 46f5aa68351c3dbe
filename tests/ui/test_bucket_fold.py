"""The fold of buckets: sorted, paged, thumbnails that show what is cut away, for the pictures that are seen."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_trainer.data.bucket_report import BucketReport
from lib_trainer.data.buckets import Buckets
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.plan import Plan
from lib_trainer.data.scanning.scan import scan
from lib_trainer.ui import crop_thumbnails
from lib_trainer.ui.bucket_fold import ALL, ORDERS, BucketFold

CUT, NAME = "Most cut away first", "By name"


@pytest.fixture
def report(tmp_path: Path) -> BucketReport:
    """Thirty pictures: 28 squares, a wide one and a small one."""
    for number in range(28):
        Image.new("RGB", (128, 128), (number * 9, 0, 0)).save(tmp_path / f"{number:02}.png")
    Image.new("RGB", (300, 80), (0, 200, 0)).save(tmp_path / "wide <b>.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "small.png")
    return BucketReport(Plan([Dataset(scan(tmp_path).items, Buckets(128, 128, 64))], seed=1))


@pytest.fixture
def fold(report: BucketReport) -> BucketFold:
    return BucketFold(lambda settings: report)


def names(html: str) -> list[str]:
    return [part.split("</i>")[0] for part in html.split("<figcaption><i>")[1:]]


def test_a_page_of_pictures_sorted_and_escaped(fold: BucketFold) -> None:
    html, sizes, page = fold.on_show({}, CUT, ALL, 1)
    assert names(html)[0] == "wide &lt;b&gt;.png" and len(names(html)) == 24 and page == 1
    assert html.count('<img src="data:image/jpeg;base64,') == 24
    assert sizes == {"choices": [ALL, "128x128", "256x64"], "value": ALL, "__type__": "update"}
    assert "300x80 → 256x68 → 256x64" in html and "<b>5.9%</b> <small>cut away</small>" in html
    assert "<td>256x64</td><td>1</td><td>1</td><td>0</td>" in html


def test_pages_stay_inside_the_book(fold: BucketFold) -> None:
    assert [fold.on_show({}, NAME, ALL, page)[2] for page in (-3, 0, 2, 99)] == [1, 1, 2, 2]
    assert names(fold.on_show({}, NAME, ALL, 2)[0]) == ["24.png", "25.png", "26.png", "27.png", "small.png",
                                                        "wide &lt;b&gt;.png"]


def test_one_bucket_alone(fold: BucketFold) -> None:
    html, sizes, _ = fold.on_show({}, NAME, "256x64", 1)
    assert names(html) == ["wide &lt;b&gt;.png"] and sizes["value"] == "256x64"
    assert fold.on_show({}, NAME, "1x1", 1)[1]["value"] == ALL


def test_enlarged_pictures_are_flagged(fold: BucketFold) -> None:
    html = fold.on_show({}, "Most enlarged first", ALL, 1)[0]
    assert names(html)[0] == "small.png" and html.count('class="tl-badge"') == 1 and "×3.20" in html


def test_every_order_is_known(report: BucketReport, fold: BucketFold) -> None:
    assert all(len(report.rows(order)) == 30 for order in ORDERS.values())


def test_nothing_to_show() -> None:
    fold = BucketFold(lambda settings: None)
    for looked in (None, {"images": ""}):
        assert "nothing to show" in fold.on_show(looked, CUT, ALL, 1)[0]


def test_the_report_of_the_last_look_is_used_and_old_ones_go(report: BucketReport) -> None:
    made: list[Any] = []
    fold = BucketFold(lambda settings: made.append(settings) or report)  # type: ignore[func-returns-value]
    fold.keep({"images": "a"}, report)
    fold.on_show({"images": "a"}, CUT, ALL, 1)
    assert made == []
    for number in range(5):
        fold.keep({"images": number}, report)
    fold.on_show({"images": "a"}, CUT, ALL, 1)
    assert made == [{"images": "a"}]


def test_what_is_cut_away_is_dark_and_framed(report: BucketReport, tmp_path: Path) -> None:
    placed = next(one for one in map(report.placed, range(30)) if one.item.file.startswith("wide"))
    image = Image.new("RGB", (150, 40), (0, 200, 0))
    drawn = crop_thumbnails.draw(image, placed)
    left, top, right, bottom = crop_thumbnails.crop_box(image.size, placed)
    assert (left, right) == (0, 150) and top == 1 and bottom == 39  # of 68 lines, two above and two below
    assert drawn.getpixel((75, 0)) == (0, 56, 0) and drawn.getpixel((75, 20)) == (0, 200, 0)
    assert drawn.getpixel((75, 1)) == (240, 125, 26)


def test_an_edited_picture_is_drawn_anew(report: BucketReport, tmp_path: Path) -> None:
    placed = report.placed(0)
    before = crop_thumbnails.thumbnail(placed)
    Image.effect_noise((128, 128), 99).convert("RGB").save(placed.item.path)
    after = crop_thumbnails.thumbnail(placed)
    assert before.startswith("data:image/jpeg") and after.startswith("data:image/jpeg") and after != before
    placed.item.path.unlink()
    assert crop_thumbnails.thumbnail(placed) == ""
