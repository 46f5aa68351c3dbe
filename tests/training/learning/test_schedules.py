"""Learning rates over a run: schedules equal the field's."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import Problems
from lib_trainer.training import config_reading
from lib_trainer.training.learning import schedules
from lib_trainer.training.learning.rates import Rate, parse_rate
from lib_trainer.training.learning.schedules import SCHEDULES, Schedule, lr_at, problem

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "training_vectors.json").read_text())


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


def test_problems_of_combination() -> None:
    steps, plain = parse_rate("1e-4:10, 1e-5"), parse_rate("1e-4")
    assert problem(steps, "constant", 0) is None
    assert problem(plain, "cosine", 10) is None
    assert "step list" in (problem(steps, "cosine", 0) or "")
    assert "constant_with_warmup" in (problem(plain, "constant", 10) or "")


@pytest.mark.parametrize(("changes", "ours"), [
    ({"scheduler": "inverse_sqrt", "warmup": "4", "timescale": 7}, "inverse_sqrt"),
    ({"scheduler": "cosine_with_min_lr", "warmup": "10%", "min_lr_ratio": 0.1, "cycles": 3}, "cosine_with_min_lr"),
    ({"scheduler": "warmup_stable_decay", "warmup": "3", "decay": "0.4", "min_lr_ratio": 0.2, "cycles": 2},
     "warmup_stable_decay"),
    ({"scheduler": "polynomial", "warmup": "3", "power": 3.0}, "polynomial"),
])
def test_every_argument_acts_as_in_transformers(changes: dict[str, object], ours: str) -> None:
    from transformers import optimization as theirs

    schedule = schedules.read(config_reading.from_dict({"name": "a", **changes}), Rate((1.0,)), 20)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    made = {
        "inverse_sqrt": lambda: theirs.get_inverse_sqrt_schedule(optimizer, 4, timescale=7),
        "cosine_with_min_lr": lambda: theirs.get_cosine_with_min_lr_schedule_with_warmup(
            optimizer, 2, 20, num_cycles=1.5, min_lr_rate=0.1),
        "warmup_stable_decay": lambda: theirs.get_wsd_schedule(
            optimizer, 3, 9, 8, num_cycles=1.0, min_lr_ratio=0.2),
        "polynomial": lambda: theirs.get_polynomial_decay_schedule_with_warmup(optimizer, 3, 20, power=3.0),
    }[ours]()
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    # The rise of warmup_stable_decay begins at the least rate in newer versions (as in the vectors), at 0 in older.
    first = 3 if ours == "warmup_stable_decay" else 0
    # Double precision on both sides; the order of operations may differ in the last bits.
    assert [schedule.factor(step) for step in range(first, 20)] == pytest.approx(expected[first:], rel=1e-12, abs=1e-15)


def test_piecewise_constant_is_that_of_diffusers() -> None:
    from diffusers.optimization import get_piecewise_constant_schedule

    text = "1:3,0.1:8,0.5:9,0.005"
    config = config_reading.from_dict(
        {"name": "a", "scheduler": "piecewise_constant", "scheduler_args": f"step_rules={text}"})
    schedule = schedules.read(config, Rate((1.0,)), 20)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_piecewise_constant_schedule(optimizer, text)
    for step in range(20):
        assert schedule.factor(step) == optimizer.param_groups[0]["lr"]
        optimizer.step()
        theirs.step()
    assert schedules.rules(f"step_rules='{text}'") == schedule.rules


@pytest.mark.parametrize(("changes", "word"), [
    ({"scheduler": "cosine", "warmup": "60%", "decay": "50%"}, None),  # the decay is not this schedule's
    ({"scheduler": "warmup_stable_decay", "warmup": "60%", "decay": "50%", "steps": 100}, "longer than the run"),
    ({"scheduler": "warmup_stable_decay"}, "never fall"),
    ({"scheduler": "cosine_with_min_lr"}, "min_lr_ratio = 0"),
    ({"scheduler": "piecewise_constant"}, "needs step_rules"),
    ({"scheduler": "piecewise_constant", "scheduler_args": "step_rules=1:5,x"}, "'x'"),
    ({"scheduler": "cosine", "scheduler_args": "T_max=5"}, "has no arguments"),
    ({"scheduler": "cosin"}, "did you mean cosine"),
    ({"scheduler": "adafactor"}, "relative_step=True"),
    ({"scheduler": "adafactor", "optimizer": "Adafactor", "optimizer_args": "relative_step=True"}, None),
    ({"scheduler": "piecewise_constant", "scheduler_args": "step_rules=1:5,0", "warmup": "3"}, "no warm-up"),
    ({"scheduler": "CosineAnnealingLR", "scheduler_args": "T_max=5", "warmup": "3"}, "no warm-up"),
    ({"scheduler": "CosineAnnealingLR", "scheduler_args": "T_maxx=5"}, "Did you mean T_max"),
    ({"optimizer": "Prodigy", "learning_rate": "1:100, 0.1", "unet_lr": "1"}, "one rate for all parts"),
    ({"optimizer": "AdamWScheduleFree", "ema_decay": 0.999}, "averages the weights itself"),
    ({"stop_text_encoder": "30%", "train_unet": False}, "nothing would learn"),
])
def test_settings_that_contradict_each_other(changes: dict[str, object], word: str | None) -> None:
    if word is None:
        config_reading.from_dict({"name": "a", **changes})
        return
    with pytest.raises(Problems) as caught:
        config_reading.from_dict({"name": "a", **changes})
    assert word in str(caught.value)


def test_rate_times_factor() -> None:
    assert lr_at(2, parse_rate("1e-3"), Schedule("constant_with_warmup", 10, warmup=4)) == pytest.approx(5e-4)
    assert lr_at(10, parse_rate("1e-3:10, 1e-5"), Schedule("constant", 20)) == 1e-5
