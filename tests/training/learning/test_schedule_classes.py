"""Schedules by class: the same rates as on the optimiser itself, from any update on, and nothing else touched."""
from __future__ import annotations

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.training.learning.schedule_classes import ClassSchedule, checked
from tests.torch_version import since

CASES = [
    ("CosineAnnealingLR", "T_max=7 eta_min=1e-5"),
    ("torch.optim.lr_scheduler.StepLR", "step_size=3 gamma=0.5"),
    ("CosineAnnealingWarmRestarts", "T_0=4 T_mult=2"),
    ("ExponentialLR", "gamma=0.9"),
    ("OneCycleLR", "max_lr=(0.01, 0.02) total_steps=40"),
    pytest.param("CyclicLR", "base_lr=1e-4 max_lr=1e-2 step_size_up=3 cycle_momentum=True",
                 marks=since((2, 2), "a CyclicLR that turns betas")),
]


def on_the_optimizer(name: str, args: str, updates: int) -> list[list[tuple[float, object]]]:
    """What the class sets where it is given AdamW itself: rate and betas of both groups, update by update."""
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    optimizer = torch.optim.AdamW([{"params": weights[:1], "lr": 1e-3}, {"params": weights[1:], "lr": 5e-4}])
    schedule = getattr(torch.optim.lr_scheduler, name.rpartition(".")[2])(optimizer, **checked(name, args))
    seen = []
    for _ in range(updates):
        seen.append([(group["lr"], group["betas"]) for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return seen


def ours(name: str, args: str) -> ClassSchedule:
    return ClassSchedule(name, args, {"unet": 1e-3, "text_encoder": 5e-4}, {"betas": (0.9, 0.999), "lr": 9.0})


@pytest.mark.parametrize(("name", "args"), CASES)
def test_rates_are_those_of_the_class_on_the_optimizer(name: str, args: str) -> None:
    schedule, expected = ours(name, args), on_the_optimizer(name, args, 30)
    for step in range(30):
        found = schedule.at(step)
        assert [(group["lr"], group["betas"]) for group in found.values()] == expected[step]


@pytest.mark.parametrize(("name", "args"), CASES)
def test_a_run_that_goes_on_finds_the_same_rate(name: str, args: str) -> None:
    """Any update can be asked for, in any order: nothing has to be remembered."""
    expected = on_the_optimizer(name, args, 30)
    schedule = ours(name, args)
    for step in (17, 3, 29):
        assert [group["lr"] for group in schedule.at(step).values()] == [rate for rate, _ in expected[step]]


@pytest.mark.parametrize(("name", "args", "word"), [
    ("ReduceLROnPlateau", "", "metrics"), ("CosineAnealingLR", "T_max=3", "CosineAnnealingLR"),
    ("StepLR", "step=3", "step_size"), ("StepLR", "", "refuses its arguments"), ("nowhere.Schedule", "", "pip install"),
    ("torch.optim.AdamW", "", None), ("json.JSONDecoder", "", "no schedule"),
])
def test_what_cannot_be_had_is_told(name: str, args: str, word: str | None) -> None:
    with pytest.raises(UserError, match=word or "optimizer|closure|refuses|no schedule|wants"):
        ours(name, args).at(1)


def test_a_class_with_an_end_says_so() -> None:
    with pytest.raises(UserError, match="update 46: Tried to step 41 times"):
        ours("OneCycleLR", "max_lr=0.01 total_steps=40").at(45)
