"""Block weights as a plot changes and writes them: what is written means what was meant, on every architecture."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import ARCH_BLOCKS, BLOCKS_26, LAYOUTS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import split
from lib_trainer.compare.vector import Vector
from lib_trainer.errors import UserError

NO_PRESETS = Presets.parse("")
NUMBERS = st.sampled_from(["0", "1", "0.5", "-0.25", "1.25", "0.1", "2"])


def meaning(vector: Vector, arch: str) -> dict[str, float] | None:
    """What the vector does as a tag's block weights, by the grammar's own reading."""
    weights = resolve(split(f"<lora:a:1:lbw={vector}>")[1][0], NO_PRESETS, arch)
    assert not weights.errors, weights.errors
    return weights.ratios


@given(st.sampled_from(["sd15", "sdxl"]), st.frozensets(st.sampled_from(BLOCKS_26)), NUMBERS,
       st.frozensets(st.sampled_from(BLOCKS_26)), NUMBERS)
def test_what_is_written_is_what_was_meant(
    arch: str, first: frozenset[str], one: str, second: frozenset[str], other: str
) -> None:
    blocks = ARCH_BLOCKS[arch]
    vector = Vector.ones(blocks).with_value(first, one).with_value(second, other)
    wanted = {block: float(other if block in second else one if block in first else 1) for block in blocks}
    assert meaning(vector, arch) == wanted
    assert meaning(vector.inverted(), arch) == {block: round(1 - value, 10) for block, value in wanted.items()}


@given(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_a_list_of_somebodys_own_stays_a_list(length: int, data: st.DataObject) -> None:
    items = tuple(data.draw(st.lists(st.sampled_from(["0", "0.5", "X", "R", "U", "X+0.1"]), min_size=length,
                                     max_size=length)))
    vector = Vector(items)
    assert str(vector) == ",".join(items)
    assert str(vector.inverted()).count(",") == length - 1
    assert [item for item in vector.inverted().items if item in "RUX"] == [item for item in items if item in "RUX"]


def test_nothing_changed_is_one_number() -> None:
    ones = Vector.ones(ARCH_BLOCKS["sdxl"])
    assert str(ones) == "1" and str(ones.inverted()) == "0"
    assert str(ones.with_value(["IN05", "IN06", "M00"], "0.5")) == "IN05-IN06 M00@0.5"
    assert str(ones.with_value(["IN05"], "R")).split(",")[6] == "R"


def test_a_sum_drops_the_second_where_both_are_there() -> None:
    first = Vector(("1", "1", "0.3333", *["0"] * 14))
    second = Vector(("0", "0.5", "0.5", "0.25", *["0"] * 13))
    assert str(first.plus(second, "")).split(",")[:4] == ["1", "1", "0.333", "0.25"]
    assert str(second.plus(first, "")).split(",")[:4] == ["1", "0.5", "0.5", "0.25"]


def test_lists_of_two_lengths_are_added_by_the_names_of_blocks() -> None:
    short, full = Vector(("1",) * 17), Vector(("0",) * 4 + ("0.5",) * 22)
    total = short.plus(full, "")
    assert dict(zip(total.layout, total.items, strict=True))["IN03"] == "0.5"
    assert dict(zip(total.layout, total.items, strict=True))["IN01"] == "1"


def test_what_is_no_number_cannot_be_added() -> None:
    with pytest.raises(UserError, match="'A' and 'B' cannot be added: 'X' is not a number"):
        Vector(("X",) * 17).plus(Vector(("0",) * 17), "'A' and 'B'")
