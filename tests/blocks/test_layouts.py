"""Lengths, names and expansion of block-weight lists."""
from __future__ import annotations

import pytest

from lib_trainer.blocks.layouts import (
    ARCH_BLOCKS,
    ARCH_OF_LENGTH,
    BLOCKS_26,
    FINE,
    LAYOUTS,
    expand,
    in_words,
    names_of,
    spread,
)

_NAMES = {
    12: "BASE IN04 IN05 IN07 IN08 M00 OUT00 OUT01 OUT02 OUT03 OUT04 OUT05",
    17: "BASE IN01 IN02 IN04 IN05 IN07 IN08 M00 OUT03 OUT04 OUT05 OUT06 OUT07 OUT08 OUT09 OUT10 OUT11",
}


@pytest.mark.parametrize("length", LAYOUTS)
def test_layouts_have_their_length_and_follow_the_order_of_26(length: int) -> None:
    names = LAYOUTS[length]
    assert len(set(names)) == length
    assert list(names) == sorted(names, key=BLOCKS_26.index)


@pytest.mark.parametrize(("length", "names"), _NAMES.items())
def test_short_layouts_name_the_peers_blocks(length: int, names: str) -> None:
    assert " ".join(LAYOUTS[length]) == names


@pytest.mark.parametrize("length", LAYOUTS)
def test_expand_sets_named_blocks_and_leaves_the_others_off(length: int) -> None:
    weights = expand([float(place + 1) for place in range(length)], length)
    assert tuple(weights) == BLOCKS_26
    assert [weights[block] for block in LAYOUTS[length]] == [float(place + 1) for place in range(length)]
    assert {weight for block, weight in weights.items() if block not in LAYOUTS[length]} <= {0.0}


@pytest.mark.parametrize("length", ARCH_OF_LENGTH)
def test_every_length_belongs_to_an_architecture_that_has_its_blocks(length: int) -> None:
    assert len(names_of(length)) == length
    assert set(names_of(length)) <= {*ARCH_BLOCKS[ARCH_OF_LENGTH[length]], *FINE}


def test_finer_lists_spread_over_blocks_and_their_parts() -> None:
    every = spread([str(place) for place in range(23)], "0", "1")
    assert (every["BASE"], every["EMBED"], every["IN08"], every["FINAL"]) == ("1", "0", "9", "22")
    assert (every["M00"], every["MID0"], every["MID1"], every["MID2"]) == ("11", "10", "11", "12")
    assert every["IN09"] == "0"


def test_in_words_joins_neighbours_of_one_kind() -> None:
    assert in_words({"OUT02", "IN01", "OUT00", "IN02", "M00", "OUT01", "IN11"}) == "IN01-IN02, IN11, M00, OUT00-OUT02"
