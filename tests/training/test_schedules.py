"""Learning rates over a run: schedules equal the field's, step lists mean what AUTOMATIC1111 users mean."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.training.schedules import SCHEDULES, Rate, Schedule, lr_at, parse_rate, parse_warmup, problem

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "training_vectors.json").read_text())


@pytest.mark.parametrize(
    ("case", "schedule"),
    [
        ("constant", Schedule("constant", 20)),
        ("constant_with_warmup_w4", Schedule("constant_with_warmup", 20, warmup=4)),
        ("linear_w4", Schedule("linear", 20, warmup=4)),
        ("cosine_w4", Schedule("cosine", 20, warmup=4)),
        ("cosine_with_restarts_c3", Schedule("cosine_with_restarts", 20, cycles=3)),
        ("cosine_with_restarts_w4_c2", Schedule("cosine_with_restarts", 20, warmup=4, cycles=2)),
        ("polynomial_p2", Schedule("polynomial", 20, power=2.0)),
        ("inverse_sqrt_w4", Schedule("inverse_sqrt", 20, warmup=4)),
        ("cosine_with_min_lr_0.1", Schedule("cosine_with_min_lr", 20, floor=0.1)),
        ("warmup_stable_decay_w4_d6_min0.1", Schedule("warmup_stable_decay", 20, warmup=4, decay=6, floor=0.1)),
    ],
)
def test_factors_equal_the_reference(case: str, schedule: Schedule) -> None:
    expected = VECTORS["lr_schedules_20steps_lr1"][case]
    # Double precision on both sides; the order of operations may differ in the last bits.
    assert [schedule.factor(step) for step in range(20)] == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_polynomial_ends_at_its_absolute_rate() -> None:
    schedule = Schedule("polynomial", 10, rate=1e-4)
    assert schedule.factor(0) == pytest.approx(1.0)
    assert 1e-4 * schedule.factor(10) == pytest.approx(1e-7)
    assert Schedule("polynomial", 10, rate=0.0).factor(3) == 1.0


@given(
    st.sampled_from(sorted(SCHEDULES)), st.integers(1, 60), st.integers(0, 60), st.integers(1, 5), st.integers(0, 80)
)
def test_factors_stay_between_0_and_1(kind: str, total: int, warmup: int, cycles: int, step: int) -> None:
    factor = Schedule(kind, total, min(warmup, total), cycles, decay=total // 2, floor=0.1).factor(step)
    assert 0.0 <= factor <= 1.0


def test_step_list_of_automatic1111() -> None:
    rate = parse_rate("5e-6:2000, 5e-7:10000, 5e-8")
    assert rate == Rate((5e-6, 5e-7, 5e-8), (2000, 10000))
    updates = {1: 5e-6, 2000: 5e-6, 2001: 5e-7, 10000: 5e-7, 10001: 5e-8, 999999: 5e-8}
    assert {update: rate.at(update - 1) for update in updates} == updates


def test_the_last_rate_holds_to_the_end_even_with_a_step() -> None:
    assert parse_rate("1e-4:10,1e-5:20") == Rate((1e-4, 1e-5), (10,))
    assert parse_rate("1e-4:10") == Rate((1e-4,))


positive = st.floats(1e-9, 10, allow_nan=False)


@given(st.lists(positive, min_size=1, max_size=6), st.data())
def test_rates_survive_writing_and_reading(rates: list[float], data: st.DataObject) -> None:
    ends = data.draw(st.lists(
        st.integers(1, 10**6), min_size=len(rates) - 1, max_size=len(rates) - 1, unique=True).map(sorted))
    rate = Rate(tuple(rates), tuple(ends))
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("abc", "'abc'"), ("", "''"), ("-1e-4", "'-1e-4'"), ("nan", "'nan'"), ("inf", "'inf'"), ("1e-4:x, 1e-5", "'x'"),
        ("1e-4:100, oops:200, 1e-5", "'oops'"), ("1e-4, 1e-5", "'1e-4' has no step"), ("1e-4:5, 1e-5:5, 1", "above 5"),
        ("1e-4:0, 1e-5", "above 0"), ("1e-4:5,", "''"), ("1e-4:1.5, 1", "'1.5'"),
    ],
)
def test_unreadable_rates_name_the_part(text: str, names: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_rate(text)
    assert names in str(caught.value)


@pytest.mark.parametrize(
    ("text", "updates"),
    [("0", 0), ("", 0), ("100", 100), ("5%", 10), ("0.05", 10), (" 10 % ", 20), ("200", 200), ("1", 1)],
)
def test_warmup(text: str, updates: int) -> None:
    assert parse_warmup(text, 200) == updates


@pytest.mark.parametrize("text", ["x", "-1", "201", "101%", "1.5", "nan", "inf", "%5"])
def test_senseless_warmups(text: str) -> None:
    with pytest.raises(UserError, match="Warm-up"):
        parse_warmup(text, 200)


def test_problems_of_combination() -> None:
    steps, plain = parse_rate("1e-4:10, 1e-5"), parse_rate("1e-4")
    assert problem(steps, "constant", 0) is None
    assert problem(plain, "cosine", 10) is None
    assert "step list" in (problem(steps, "cosine", 0) or "")
    assert "constant_with_warmup" in (problem(plain, "constant", 10) or "")


def test_rate_times_factor() -> None:
    assert lr_at(2, parse_rate("1e-3"), Schedule("constant_with_warmup", 10, warmup=4)) == pytest.approx(5e-4)
    assert lr_at(10, parse_rate("1e-3:10, 1e-5"), Schedule("constant", 20)) == 1e-5
