"""Labelled grids: their size, their labels, their limit."""
from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from lib_trainer.compare import grids
from lib_trainer.compare.grids import Grid


def filled(columns: list[str], rows: list[str], title: str = "", size: tuple[int, int] = (100, 80)) -> Image.Image:
    grid = Grid(columns, rows, title)
    for column in range(len(columns)):
        for row in range(len(rows)):
            grid.place(column, row, Image.new("RGB", size, "blue"))
    image = grid.finish()
    assert image is not None
    return image


def test_without_labels_there_are_only_pictures() -> None:
    assert filled(["", ""], ["", "", ""]).size == (200, 240)


def test_labels_stand_beside_the_pictures() -> None:
    plain, labelled = filled(["", ""], [""]), filled(["0", "0.5"], ["IN05"], "a title")
    assert labelled.width == plain.width + 75 and labelled.height > plain.height
    assert ImageChops.difference(filled(["0", "0.5"], ["IN05"]), filled(["0", "0.6"], ["IN05"])).getbbox()


def test_long_labels_are_broken_and_stay_within_their_cell() -> None:
    long = "NOT IN01-IN02 IN04-IN05 IN07-IN08, " + "x" * 60
    grid = filled([long, ""], [""])
    assert grid.width == 200
    header = grid.crop((100, 0, 200, grid.height - 80))
    assert header.getcolors() == [(header.width * header.height, (255, 255, 255))], "nothing runs into the next cell"


def test_a_picture_of_another_size_is_fitted_in() -> None:
    grid = Grid(["", ""], [""])
    grid.place(0, 0, Image.new("RGB", (100, 80), "blue"))
    grid.place(1, 0, Image.new("RGB", (400, 160), "red"))
    image = grid.finish()
    assert image is not None and image.size == (200, 80)
    assert image.getpixel((150, 40)) == (255, 0, 0) and image.getpixel((150, 2)) == (255, 255, 255)


def test_a_grid_that_would_be_too_large_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "MAX_PIXELS", 40_000)
    grid = Grid(["a"] * 10, ["b"] * 10)
    grid.place(0, 0, Image.new("RGB", (200, 100), "blue"))
    image = grid.finish()
    assert image is not None and grid.scale < 1 and image.width * image.height < 60_000


def test_nothing_drawn_is_no_grid() -> None:
    grid = Grid(["a"], ["b"])
    grid.place(0, 0, None)
    assert grid.finish() is None
