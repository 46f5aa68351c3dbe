"""Learning rates as people write them: step lists mean what AUTOMATIC1111 users mean."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.training.learning.rates import Rate, parse_part, parse_rate


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
    assert parse_part(text, 200, "Warm-up") == updates


@pytest.mark.parametrize("text", ["x", "-1", "201", "101%", "1.5", "nan", "inf", "%5"])
def test_senseless_warmups(text: str) -> None:
    with pytest.raises(UserError, match="Warm-up"):
        parse_part(text, 200, "Warm-up")


def test_a_saw_tooth_of_hundreds_of_rates() -> None:
    """Annealing lists as people share them; the order of the steps counts, not that of the rates."""
    text = ", ".join(f"{1e-3 / (1 + number % 10):.3e}:{(number + 1) * 50}" for number in range(400))
    rate = parse_rate(text)
    assert len(rate.rates) == 400 and rate.ends[-1] == 399 * 50
    for update in (1, 50, 51, 500, 501, 9_999, 20_000, 30_000):
        assert rate.at(update - 1) == float(f"{1e-3 / (1 + min(399, (update - 1) // 50) % 10):.3e}")
