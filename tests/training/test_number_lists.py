"""Lists of seeds and strengths, and what of their settings is refused or does nothing."""
from __future__ import annotations

import pytest

from lib_trainer.errors import UserError
from lib_trainer.training import config_rules, number_lists
from lib_trainer.training.checks import unused
from lib_trainer.training.config import TrainConfig


def test_strengths_stand_once_in_their_order() -> None:
    assert number_lists.strengths("at", "1, -1,0, 1\n0.5") == [1.0, -1.0, 0.0, 0.5]
    assert number_lists.strengths("at", " , ") == []


@pytest.mark.parametrize(("text", "said"), [
    ("-1, much", "at = '-1, much': "), ("1, 21", "21 is no strength"),
    (", ".join(map(str, range(-20, 1))), "20 at most"),
])
def test_what_is_no_strength_is_told(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        number_lists.strengths("at", text)


def test_faults_of_the_settings_are_told_before_the_start() -> None:
    config = TrainConfig(name="x", images="x", method="addift", slider_strengths="big", slider_seeds="-1")
    said = " ".join(config_rules.faults(config))
    assert "slider_strengths = 'big'" in said and "slider_seeds = '-1'" in said


def test_what_does_nothing_is_told() -> None:
    [told] = unused.told(TrainConfig(method="lora", slider_strengths="1"))
    assert "Draw the result at (slider_strengths)" in told
    [told] = unused.told(TrainConfig(method="addift", slider_seeds="7"))
    assert "Seeds of the result" in told
    assert unused.told(TrainConfig(method="addift", slider_seeds="7", slider_strengths="1")) == []
    copiers = TrainConfig(method="difference", preview_file="x.txt")
    assert "Prompt file" in unused.told(copiers)[0]
    assert unused.told(TrainConfig(method="difference", preview_file="x.txt", slider_strengths="1")) == []
