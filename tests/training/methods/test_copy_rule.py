"""When a copier ends: by the score that was asked for, or because its score has come to its level."""
from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.training.methods.copy_rule import BEGUN, GAIN, Measured, standing, why_it_ends

DEMO = (0.473, 0.724, 0.811, 0.744, 0.797, 0.818, 0.822, 0.835, 0.832, 0.825, 0.823, 0.823)
"""Mean scores of the demo's first copier every 8 steps, trained to the end of the goal."""


def curve(averages: Sequence[float], apart: int = 8) -> list[Measured]:
    return [Measured(number * apart, average - 0.1, average) for number, average in enumerate(averages, 1)]


def end(averages: Sequence[float], threshold: float = 0.9, patience: int = 1, level: int = 3) -> int:
    """The step at which a copier ends, 0 = it does not."""
    whole = curve(averages)
    return next((one.step for number, one in enumerate(whole, 1)
                 if why_it_ends(whole[:number], threshold, patience, level)), 0)


@pytest.mark.parametrize(("changes", "step"), [
    ({}, 48), ({"level": 2}, 40), ({"level": 4}, 56), ({"level": 0}, 0), ({"threshold": 0.7}, 24),
    ({"threshold": 0.7, "patience": 2, "level": 0}, 56), ({"threshold": 0.0, "level": 0}, 0),
])
def test_the_demo_ends_when_its_score_has_come_to_its_level(changes: dict[str, float], step: int) -> None:
    assert end(DEMO, **changes) == step  # type: ignore[arg-type]


def test_it_says_since_when_and_why() -> None:
    assert why_it_ends(curve(DEMO[:6]), 0.9, 1, 3) == (
        "It copies since step 24, as well as it will: copy score 0.82 on average (0.72 of the picture copied worst), "
        "no gain since then, so this copier ends at step 48.")
    assert why_it_ends(curve(DEMO[:3]), 0.7, 1, 3) == (
        "It copies since step 24: copy score 0.71 (0.7 was asked for), so this copier ends at step 24.")


def test_a_copier_that_has_hardly_begun_goes_on() -> None:
    """A low rate: the demo's copier at 3e-4."""
    assert end((0.04, 0.057, 0.067, 0.1, 0.142, 0.17, 0.182)) == 0
    assert end([BEGUN - 0.01] * 20) == 0 and end([BEGUN] * 20) == 32


def test_gains_that_are_small_add_up() -> None:
    assert end([0.6 + 0.015 * number for number in range(20)]) == 0


def test_it_does_not_end_in_a_dip() -> None:
    assert end((0.6, 0.7, 0.8, 0.7, 0.7, 0.7, 0.7)) == 0
    assert end((0.6, 0.7, 0.8, 0.7, 0.7, 0.7, 0.7, 0.79)) == 64


@given(averages=st.lists(st.floats(-3.0, 1.0), min_size=1, max_size=30))
def test_the_level_is_one_that_nothing_since_has_surpassed(averages: list[float]) -> None:
    whole = curve(averages)
    now = standing(whole, 0.0)
    since = [one.average for one in whole if one.step >= now.level_since]
    assert since[0] == now.level and len(since) == now.stalled + 1 and max(since) <= now.level + GAIN
    assert all(one.average <= now.level for one in whole if one.step < now.level_since)
