"""What the page and the file's metadata tell about a data set."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.dataset import Plan
from lib_trainer.data.overview import folders, summary, tag_frequency, thumbnails
from lib_trainer.data.scan import Scan, scan
from lib_trainer.data.steps import run_length
from tests.data_tests.drawn import caption, noisy, picture, truncate


def dataset(root: Path) -> list[Scan]:
    for index in range(4):
        picture(root / "images" / "2_zko" / f"{index}.png", (128, 128) if index else (256, 64))
    caption(root / "images" / "2_zko" / "1.txt", "Zko, smile")
    (root / "images" / "2_zko" / "bad.png").touch()
    for index in range(12):
        picture(root / "reg" / "1_girl" / f"{index}.png", (128, 128))
    return [scan(root / "images"), scan(root / "reg", is_reg=True)]


def test_summary(tmp_path: Path) -> None:
    scans = dataset(tmp_path)
    plan = Plan([item for one in scans for item in one.items], Buckets(128, 128, 64), batch_size=4, seed=1)
    found = summary(scans, plan, run_length(plan.batches_per_epoch, 2, 3, 0))
    assert (found.images, found.reg_images, found.captioned, found.samples) == (4, 8, 1, 16)
    assert (found.batches, found.updates, found.epochs) == (5, 9, 3)
    assert found.buckets == {"128x128": 14, "256x64": 2}
    assert len(found.skipped) == 1
    assert "bad.png: the file is empty." in found.skipped[0]
    assert "4 regularisation pictures are not used" in found.warnings[-1]
    assert found.text == ("4 pictures, 1 with caption files, 8 regularisation pictures, 1 skipped: 16 uses in 5 "
                          "batches per epoch, 9 steps in 3 epochs")
    assert asdict(found)["updates"] == 9


def test_thumbnails(tmp_path: Path) -> None:
    for index in range(4):
        noisy(tmp_path / f"{index}.png", (300, 150))
    truncate(tmp_path / "1.png")
    caption(tmp_path / "0.txt", "zko")
    found = thumbnails(scan(tmp_path).items, 2, size=100)
    assert [(image.size, text) for image, text in found] == [((100, 50), "zko"), ((100, 50), "2.png")]


def test_kohya_statistics(tmp_path: Path) -> None:
    images, reg = dataset(tmp_path)
    assert folders(images.items) == {"2_zko": {"n_repeats": 2, "img_count": 4}}
    assert tag_frequency(images.items) == {"2_zko": {"zko": 4, "smile": 1}}
    assert folders(reg.items) == {"1_girl": {"n_repeats": 1, "img_count": 12}}
