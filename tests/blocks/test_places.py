"""The picture of the U-Net: opposite blocks, levels, and where a picture gets smaller and bigger again."""
from __future__ import annotations

import pytest

from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.places import Place, places


@pytest.mark.parametrize(("arch", "last", "levels"), [("sd15", 11, 4), ("sdxl", 8, 3)])
def test_every_block_has_a_place(arch: str, last: int, levels: int) -> None:
    found = {place.block: place for place in places(arch)}
    assert list(found) == list(ARCH_BLOCKS[arch])
    for number in range(last + 1):
        assert found[f"IN{number:02}"].row == found[f"OUT{last - number:02}"].row == number
    assert found["M00"].level == found[f"IN{last:02}"].level == found["OUT00"].level == levels - 1
    assert found["IN00"].level == found[f"OUT{last:02}"].level == 0
    assert sum(place.resamples for place in found.values()) == 2 * (levels - 1)


def test_known_places_of_sd15() -> None:
    found = {place.block: place for place in places("sd15")}
    assert found["BASE"] == Place("BASE", "base", -1, 0, True)
    assert found["IN03"] == Place("IN03", "in", 3, 0, False, True)
    assert found["IN08"] == Place("IN08", "in", 8, 2, True)
    assert found["OUT02"] == Place("OUT02", "out", 9, 3, False, True)
    assert found["OUT05"] == Place("OUT05", "out", 6, 2, True, True)
    assert found["OUT11"] == Place("OUT11", "out", 0, 0, True)
