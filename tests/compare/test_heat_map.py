"""The picture of the U-Net: every block once, readable numbers, no cell over another."""
from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

import pytest

from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.compare import heat_map


@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
def test_no_cell_covers_another(arch: str) -> None:
    places = heat_map.positions(arch)
    assert set(places) == set(ARCH_BLOCKS[arch])
    for (one, (x, y)), (other, (left, top)) in combinations(places.items(), 2):
        assert abs(x - left) >= heat_map._WIDTH or abs(y - top) >= heat_map._HEIGHT, (one, other)


def test_what_every_cell_says() -> None:
    text = heat_map.svg({"IN01": 0.5, "OUT11": 1.0, "M00": 0.0}, ["IN01", "M00", "OUT11", "IN04"], "sd15")
    cells = {}
    for cell in ElementTree.fromstring(text).iter("g"):
        title, outline = cell.find("title"), cell.find("rect")
        assert title is not None and outline is not None
        cells[title.text] = outline
    assert {"IN01: 0.5", "OUT11: 1", "M00: 0", "IN04: ?", "IN00: –"} <= set(cells)
    fills = [cells[title].get("fill") for title in ("OUT11: 1", "M00: 0", "IN04: ?", "IN00: –")]
    assert fills == ["#fee838", "#00224e", "none", "none"]
    assert [cells[title].get("stroke-dasharray") for title in ("IN04: ?", "IN00: –")] == [None, "3 3"]
    assert "OUT11 1, IN01 0.5, M00 0" in text and "xmlns" not in text


def test_numbers_can_be_read_on_every_colour() -> None:
    """WCAG 2.1 asks for a contrast of 4.5 for small text."""
    for step in range(101):
        fill, ink = heat_map.colour(step / 100)
        back = heat_map._luminance(list(bytes.fromhex(fill[1:])))
        front = 0.0 if ink == "#000" else 1.0
        low, high = sorted((back, front))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (step, fill, ink)


def test_lightness_rises_evenly_so_that_colours_need_not_be_told_apart() -> None:
    lightness = [heat_map._luminance(list(bytes.fromhex(heat_map.colour(step / 20)[0][1:]))) for step in range(21)]
    assert lightness == sorted(lightness)
    assert heat_map.colour(-1)[0] == heat_map.colour(0)[0] and heat_map.colour(2)[0] == heat_map.colour(1)[0]


@pytest.mark.parametrize(("effect", "shown"), [
    (0.0, "0"), (0.433333, "0.433"), (0.00129, "0.001"), (3e-5, "<0.001"), (12.345, "12.3"), (1234.5, "1234"),
    (5e7, "5e+07")])
def test_numbers_fit_into_their_cells(effect: float, shown: str) -> None:
    text = heat_map.svg({"OUT03": effect}, ["OUT03"], "sd15")
    assert f">{shown.replace('<', '&lt;')}</text>" in text and len(shown) <= 6
