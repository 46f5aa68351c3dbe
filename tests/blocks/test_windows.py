"""The steps in which a LoRA acts: start=, stop= and step= of a tag."""
from __future__ import annotations

import pytest

from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import split
from lib_trainer.blocks.windows import ALWAYS, Window

_PRESETS = Presets.shipped()


def _resolve(arguments: str) -> Weights:
    return resolve(split(f"<lora:n:0.8:{arguments}>")[1][0], _PRESETS, "sd15")


@pytest.mark.parametrize(("arguments", "acting"), [
    ("start=3", [3, 4, 5, 6]), ("stop=3", [1, 2]), ("start=2:stop=4", [2, 3]), ("step=2-4", [2, 3]),
    ("STEP= 2 - 4", [2, 3]), ("step=3-", [3, 4, 5, 6]), ("step=-3", [1, 2]), ("start=0", [1, 2, 3, 4, 5, 6]),
    ("start=1", [1, 2, 3, 4, 5, 6]),
])
def test_steps_count_from_1_and_stop_is_the_first_step_without(arguments: str, acting: list[int]) -> None:
    weights = _resolve(arguments)
    assert [step for step in range(1, 7) if weights.window.acts_at(step)] == acting
    assert (weights.te, weights.unet, weights.warnings, weights.errors) == (0.8, 0.8, [], [])


@pytest.mark.parametrize(("arguments", "piece"), [
    ("start=abc", "'start=abc'"), ("stop=-1", "'stop=-1'"), ("step=5", "'step=5'"), ("step=1-2-3", "'step=1-2-3'"),
    ("step=-", "'step=-'"), ("start=", "'start='"), ("start=2.5", "'start=2.5'"), ("stop=\u0665", "'stop=\u0665'"),
    ("start=" + "9" * 99, "'start=999"),
])
def test_mistakes_are_quoted_and_cost_only_the_steps(arguments: str, piece: str) -> None:
    weights = _resolve(f"{arguments}:NCNF:lbwe=/attn@0")
    assert weights.window == ALWAYS
    assert weights.ratios is not None and weights.rules
    (error,) = weights.errors
    assert piece in error and "was ignored" in error


def test_a_mistake_in_one_end_leaves_the_other() -> None:
    assert _resolve("start=3:stop=x").window == Window(3)
    assert _resolve("start=x:stop=3").window == Window(1, 3)


@pytest.mark.parametrize("arguments", ["stop=1", "stop=0", "start=5:stop=5", "step=9-3"])
def test_a_window_without_steps_is_told(arguments: str) -> None:
    weights = _resolve(arguments)
    assert weights.window.is_empty
    assert "acts in no step" in weights.warnings[0]


def test_step_stands_in_the_place_of_start_and_stop() -> None:
    weights = _resolve("start=2:stop=8:step=4-6")
    assert weights.window == Window(4, 6)
    assert [piece in " ".join(weights.warnings) for piece in ("'start=2'", "'stop=8'")] == [True, True]


def test_the_digest_knows_the_window() -> None:
    windows = ("x=1", "start=2", "stop=2", "step=2-", "start=1", "step=1-")
    digests = [_resolve(arguments).digest for arguments in windows]
    assert digests[0] == digests[4] == digests[5] and digests[1] == digests[3]
    assert len(set(digests)) == 3
