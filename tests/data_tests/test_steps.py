"""The arithmetic of steps and epochs."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.steps import Length, run_length, updates_per_epoch
from lib_trainer.errors import UserError


@pytest.mark.parametrize(
    ("batches", "accumulation", "epochs", "steps", "expected"),
    [
        (6, 2, 2, 0, Length(6, 2)),  # measured with sd-scripts
        (7, 2, 3, 0, Length(12, 3)),  # the short remainder of an epoch updates too
        (12, 1, 1, 8, Length(8, 1)),  # stops inside the epoch
        (12, 1, 5, 25, Length(25, 3)),  # steps win over epochs
        (12, 1, 0, 24, Length(24, 2)),
    ],
)
def test_run_length(batches: int, accumulation: int, epochs: int, steps: int, expected: Length) -> None:
    assert run_length(batches, accumulation, epochs, steps) == expected


def test_nothing_to_train() -> None:
    with pytest.raises(UserError, match="both 0"):
        run_length(6, 1, 0, 0)


@given(st.integers(1, 500), st.integers(1, 20), st.integers(1, 5000))
def test_steps_fit_into_the_epochs(batches: int, accumulation: int, steps: int) -> None:
    length = run_length(batches, accumulation, 0, steps)
    per_epoch = updates_per_epoch(batches, accumulation)
    assert (length.epochs - 1) * per_epoch < steps <= length.epochs * per_epoch
