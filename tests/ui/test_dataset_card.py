"""The card's HTML: faults and folders as people named them, and pictures that cannot be read."""
from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lib_trainer.data.item import Item
from lib_trainer.data.subsets import Subset
from lib_trainer.training.forecast import Forecast
from lib_trainer.ui import dataset_card
from tests.ui import pictures


def item(path: Path) -> Item:
    return Item(Subset(path.parent.name, path.parent), path.name, 'a "quoted" <tag>', 64, 64, captioned=True)


def test_names_captions_and_sentences_are_escaped(tmp_path: Path) -> None:
    path = pictures.folder(tmp_path) / "2_zko" / "zko (0).png"
    card = dataset_card.card(Forecast(
        items=[item(path)], folders=[("<b>", 1, 1)], problems=["<i>fault</i>"], warnings=["<u>warning</u>"]))
    for raw in ("<tag>", "<b>&", "<i>fault", "<u>"):
        assert raw not in card
    assert "&lt;i&gt;fault" in card and "a &quot;quoted&quot; &lt;tag&gt;" in card and "<td>&lt;b&gt;</td>" in card


def test_a_picture_that_cannot_be_read_has_no_thumbnail(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG no picture")
    assert "<img" not in dataset_card.card(Forecast(items=[item(broken), item(tmp_path / "gone.png")]))


def test_an_edited_picture_is_drawn_anew(tmp_path: Path) -> None:
    path = pictures.folder(tmp_path) / "2_zko" / "zko (0).png"
    before = dataset_card.card(Forecast(items=[item(path)]))
    path.write_bytes((path.parent / "zko (2).png").read_bytes())
    assert dataset_card.card(Forecast(items=[item(path)])) != before


def test_many_pictures_are_counted_not_shown(tmp_path: Path) -> None:
    files = sorted((pictures.folder(tmp_path, 20) / "2_zko").glob("*.png"))
    card = dataset_card.card(Forecast(items=[item(path) for path in files]))
    assert card.count("<img") == 12 and "+8" in card


def test_pairs_are_counted_as_pairs_and_one_as_one(tmp_path: Path) -> None:
    first, second, *_ = sorted((pictures.folder(tmp_path) / "2_zko").glob("*.png"))
    pair = replace(item(first), partner=item(second))
    one = dataset_card.card(
        Forecast(items=[pair], captioned=1, folders=[("2_zko", 1, 1)], steps=1, epochs=1, samples=1))
    words = re.findall(r"<small>(.*?)</small>", one)
    assert words == ["pair of pictures", "caption", "use per epoch", "epoch", "step"]
    assert "<th>Pairs</th>" in one and one.count("tl-couple") == 1
    two = dataset_card.card(Forecast(items=[pair, pair], captioned=2, steps=2, epochs=2, samples=4))
    assert "<b>2</b> <small>pairs of pictures</small>" in two and "<b>2</b> <small>captions</small>" in two
