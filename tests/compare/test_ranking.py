"""Ranking and proposals: the smallest beginning of the ranking that keeps enough, whatever the numbers are."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import ARCH_BLOCKS, LORA_BLOCKS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import split
from lib_trainer.compare import ranking
from lib_trainer.compare.ranking import Effect
from lib_trainer.errors import UserError

NUMBERS = st.lists(st.floats(0, 1e6), min_size=1, max_size=17)


def effects_of(numbers: list[float]) -> list[Effect]:
    blocks = LORA_BLOCKS["sd15"]
    return ranking.ranked([Effect(block, (block,), number) for block, number in zip(blocks, numbers, strict=False)])


def weights_of(text: str) -> dict[str, float]:
    read = resolve(split(f"<lora:x:1:lbw={text}>")[1][0], Presets([], [], ""), "sd15")
    assert not read.errors and read.ratios is not None
    return read.ratios


def test_shares_and_order() -> None:
    effects = effects_of([1.0, 0.0, 3.0, 1.0])
    assert [one.label for one in effects] == ["IN02", "BASE", "IN04", "IN01"]
    assert [one.share for one in effects] == [0.6, 0.2, 0.2, 0.0]
    assert [one.share for one in effects_of([0.0, 0.0])] == [0.0, 0.0]


@given(NUMBERS, st.floats(0.001, 1))
def test_the_count_is_the_smallest_whose_shares_keep_enough(numbers: list[float], keep: float) -> None:
    effects = effects_of(numbers)
    count = ranking.count_for(effects, keep)
    acting = [one for one in effects if one.effect > 0]
    assert count <= len(acting) and (count > 0) == bool(acting)
    if acting and keep < 1:
        assert sum(one.share for one in effects[:count]) >= keep - 1e-6
        assert sum(one.share for one in effects[:count - 1]) < keep + 1e-6
    if keep == 1:
        assert count == len(acting)


@given(NUMBERS, st.floats(0.001, 1), st.sampled_from([1.0, 0.8]))
def test_a_proposal_reads_back_as_what_it_means(numbers: list[float], keep: float, value: float) -> None:
    effects = effects_of(numbers)
    present = [one.label for one in effects]
    count = max(1, ranking.count_for(effects, keep))
    proposal = ranking.proposal(effects, count, "sd15", present, value)
    kept = set(proposal.labels)
    assert weights_of(proposal.weights) == {block: value if block in kept else 0.0 for block in ARCH_BLOCKS["sd15"]}
    assert proposal.labels == tuple(one.label for one in effects[:count])


def test_blocks_that_were_not_examined_keep_their_weight() -> None:
    effects = effects_of([1.0, 0.5])
    ratios = ranking.ratios(effects, 1, "sd15")
    assert ratios["BASE"] == 1.0 and ratios["IN01"] == 0.0 and ratios["OUT11"] == 1.0
    assert weights_of(ranking.proposal(effects, 1, "sd15", ["BASE", "IN01", "OUT11"]).weights)["OUT11"] == 1.0


def test_a_proposal_for_a_lora_with_convolutions_names_26_blocks() -> None:
    effects = ranking.ranked([Effect(block, (block,), 1.0) for block in ("IN00", "OUT01")])
    assert ranking.proposal(effects, 1, "sd15", ["IN00", "OUT01"]).weights.count(",") == 25
    assert ranking.proposal(effects, 1, "sdxl", ["IN00", "OUT01"]).weights.count(",") == 19


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=17), st.floats(0.01, 1), st.data())
def test_the_smallest_is_found_from_any_estimate(kept: list[float], keep: float, data: st.DataObject) -> None:
    kept.sort()
    asked: list[int] = []

    def measure(count: int) -> float:
        asked.append(count)
        return kept[count - 1]

    start = data.draw(st.integers(1, len(kept)))
    count, found = ranking.smallest(start, len(kept), keep, measure)
    enough = [place for place, value in enumerate(kept, 1) if value >= keep - 1e-9]
    assert count == (enough[0] if enough else len(kept)) and found == kept[count - 1]
    assert len(asked) == len(set(asked)) <= len(kept)


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.01, float("nan")])
def test_a_part_out_of_range_is_told(keep: float) -> None:
    with pytest.raises(UserError, match="above 0 and at most 1"):
        ranking.require_part(keep)
