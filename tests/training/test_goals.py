"""The starting points by goal are settings that can be trained with."""
from __future__ import annotations

import pytest

from lib_trainer.training import config_reading
from lib_trainer.training.goals import GOALS


@pytest.mark.parametrize("name", GOALS)
def test_goals_are_valid(name: str) -> None:
    goal = GOALS[name]
    config = config_reading.from_dict({"name": "zko", **goal.changes})
    assert goal.label and len(goal.reason) > 40
    assert all(getattr(config, field) == value for field, value in goal.changes.items())


def test_goals_do_not_leave_each_others_rates_behind() -> None:
    """A goal that is chosen after another one must not inherit its learning rate, blocks, method or timesteps."""
    for goal in GOALS.values():
        assert {"rank", "alpha", "blocks", "optimizer", "learning_rate", "unet_lr", "scheduler", "method",
                "min_timestep", "max_timestep"} <= goal.changes.keys()
