"""The copy score: 0 = like the model by itself, 1 = the picture; what counts, and when it is enough."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import CopyScored, EndedEarly, Event, Previewed, Warned
from lib_trainer.training.methods import copy_score
from lib_trainer.training.methods.copy_judge import CopyJudge
from lib_trainer.training.methods.copy_score import Aim, Pixels
from lib_trainer.training.preview_prompts import literal
from lib_trainer.training.progress import Length
from lib_trainer.training.run import Run

RNG = np.random.default_rng(0)
PICTURE, BASE = (RNG.random((32, 64, 3), dtype=np.float32) for _ in range(2))
NOBODY = cast(Run, SimpleNamespace(length=Length(1, 100, 100)))
"""The judge looks at what is told; of the run it knows how long it is."""


def towards(share: float) -> Pixels:
    """A sample that has gone so far from the model's own to the picture."""
    return (BASE + share * (PICTURE - BASE)).astype(np.float32)


@given(share=st.floats(0.0, 1.0))
def test_the_score_is_the_part_of_the_squared_distance_that_is_gone(share: float) -> None:
    aim = Aim("a.png", [PICTURE], [None])
    found = copy_score.scores({"a.png": aim.distance([towards(share)])}, {"a.png": aim.distance([BASE])})
    # Means of 6144 numbers of float32.
    assert found["a.png"] == pytest.approx(1.0 - (1.0 - share) ** 2, abs=1e-5)


def test_any_picture_of_a_caption_counts_as_its_copy() -> None:
    aim = Aim("a.png", [PICTURE, BASE], [None, None])
    assert aim.distance([PICTURE, BASE]) == 0.0
    assert aim.distance([towards(0.25)]) == pytest.approx(copy_score.distance(towards(0.25), BASE))


def test_only_where_pictures_differ_counts_on_top() -> None:
    other = PICTURE.copy()
    other[:8, :8] = 1.0 - other[:8, :8]
    weights = copy_score.where_they_differ(PICTURE, other)
    assert weights.shape == (32, 64, 1) and float(weights.mean()) == pytest.approx(1.0, abs=1e-4)
    elsewhere = PICTURE.copy()
    elsewhere[16:] = 0.0
    assert copy_score.distance(elsewhere, PICTURE, weights) == 0.0 < copy_score.distance(other, PICTURE, weights)
    assert np.array_equal(copy_score.where_they_differ(PICTURE, PICTURE), np.zeros((32, 64, 1)) + 1.0)


def test_pictures_of_a_pair_may_have_other_sizes() -> None:
    other = PICTURE.copy()
    other[:16] = 1.0 - other[:16]
    image = Image.fromarray((other * 255).astype(np.uint8)).resize((62, 32), Image.Resampling.BOX)
    weights = copy_score.where_they_differ(PICTURE, copy_score.small(image))
    assert weights.shape == (32, 64, 1) and float(weights[:16].mean()) > 2 * float(weights[16:].mean())


def test_pictures_are_compared_small_and_at_one_size() -> None:
    big = Image.fromarray((PICTURE * 255).astype(np.uint8)).resize((512, 256), Image.Resampling.NEAREST)
    assert copy_score.small(big).shape == (32, 64, 3)
    assert copy_score.distance(copy_score.small(big.resize((128, 96))), PICTURE) < 0.1


def test_brackets_of_captions_mean_nothing_in_prompts() -> None:
    assert literal(r" zko, cat (animal), \(a\) [b] ") == r"zko, cat \(animal\), \(a\) \[b\]"


def previewed(folder: Path, step: int, share: float) -> Previewed:
    """Samples at two seeds and one at random, which counts for nothing."""
    file = folder / f"{step}.png"
    Image.fromarray((towards(share) * 255).round().astype(np.uint8)).save(file)
    return Previewed(step, [str(file)] * 3, ["a cat"] * 3, [1, 2, 77], [False, False, True])


def test_a_judge_ends_a_copier_after_scores_in_a_row(tmp_path: Path) -> None:
    config = TrainConfig(copier_score=0.7, copier_patience=2)
    judge = CopyJudge(config, {"a cat": Aim("a.png", [PICTURE], [None])})
    told: list[Event] = []
    for step, share in enumerate((0.0, 0.5, 0.2, 0.6)):
        told += judge.see(NOBODY, previewed(tmp_path, step, share))
    scores = [event for event in told if isinstance(event, CopyScored)]
    assert [event.copied for event in scores] == [1, 0, 1] and not judge.is_over
    again = CopyJudge(config, judge.aims)
    again.load_state_dict(judge.state_dict())
    *_, scored, ended = again.see(NOBODY, previewed(tmp_path, 4, 0.9))
    assert isinstance(scored, CopyScored) and scored.score == pytest.approx(0.99, abs=0.01)
    assert isinstance(ended, EndedEarly) and ended.step == 4 and again.is_over


def test_pictures_of_one_name_in_two_folders_have_scores_of_their_own(tmp_path: Path) -> None:
    aim = Aim("1.png", [PICTURE], [None])
    judge = CopyJudge(TrainConfig(), {"a cat": aim, "a dog": aim})
    both = [joined(previewed(tmp_path, step, share), "a dog") for step, share in enumerate((0.0, 0.5))]
    (scored,) = [event for one in both for event in judge.see(NOBODY, one)]
    assert isinstance(scored, CopyScored) and set(scored.scores) == {"1.png: a cat", "1.png: a dog"}


def joined(one: Previewed, prompt: str) -> Previewed:
    """The same samples once more under another prompt."""
    return Previewed(one.step, one.files * 2, [*one.prompts, *[prompt] * len(one.prompts)], one.seeds * 2,
                     one.random * 2)


def test_samples_that_were_not_drawn_are_no_copies(tmp_path: Path) -> None:
    """A stop or a failure leaves samples out; a picture that nobody has looked at must not end the copier."""
    aim = Aim("1.png", [PICTURE], [None])
    judge = CopyJudge(TrainConfig(copier_score=0.5), {"a cat": aim, "a dog": Aim("2.png", [PICTURE], [None])})
    begin, copied = (joined(previewed(tmp_path, step, share), "a dog") for step, share in ((0, 0.0), (1, 1.0)))
    assert not [*judge.see(NOBODY, begin)]
    half = replace(copied, **{name: getattr(copied, name)[:4] for name in ("files", "prompts", "seeds", "random")})
    (told,) = judge.see(NOBODY, half)
    assert isinstance(told, Warned) and "not all samples" in told.message and not judge.is_over
    assert len([*judge.see(NOBODY, copied)]) == 2 and judge.is_over


def test_a_judge_without_a_threshold_only_tells(tmp_path: Path) -> None:
    judge = CopyJudge(TrainConfig(copier_score=0.0), {"a cat": Aim("a.png", [PICTURE], [None])})
    told = [event for step in (0, 1) for event in judge.see(NOBODY, previewed(tmp_path, step, float(step)))]
    assert [type(event) for event in told] == [CopyScored] and not judge.is_over


def test_samples_that_a_person_asked_for_are_told_and_do_not_count(tmp_path: Path) -> None:
    """Looking changes nothing: neither when the copier ends nor what a run that goes on has to draw again."""
    judge = CopyJudge(TrainConfig(copier_score=0.5), {"a cat": Aim("a.png", [PICTURE], [None])})
    assert not [*judge.see(NOBODY, previewed(tmp_path, 0, 0.0))]
    (told,) = judge.see(NOBODY, replace(previewed(tmp_path, 3, 1.0), asked=True))
    assert isinstance(told, CopyScored) and told.copied == 0 and not judge.is_over and judge.lacks(3)
    assert [type(event) for event in judge.see(NOBODY, previewed(tmp_path, 4, 1.0))] == [CopyScored, EndedEarly]
    assert not judge.lacks(4)


def test_a_judge_ends_a_copier_that_copies_as_well_as_it_will(tmp_path: Path) -> None:
    judge = CopyJudge(TrainConfig(copier_level=2), {"a cat": Aim("a.png", [PICTURE], [None])})
    told = [event for step, share in enumerate((0.0, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5))
            for event in judge.see(NOBODY, previewed(tmp_path, step, share))]
    (end,) = [event for event in told if isinstance(event, EndedEarly)]
    assert end.step == 6 and "since step 4" in end.message and "0.75 on average" in end.message


@pytest.mark.parametrize(("share", "is_told"), [(0.2, True), (0.5, False)])
def test_a_copier_that_does_not_copy_at_its_last_step_is_told(tmp_path: Path, share: float, is_told: bool) -> None:
    judge = CopyJudge(TrainConfig(), {"a cat": Aim("a.png", [PICTURE], [None])})
    told = [event for step, gone in ((0, 0.0), (99, share), (100, share))
            for event in judge.see(NOBODY, previewed(tmp_path, step, gone))]
    warned = [event for event in told if isinstance(event, Warned)]
    assert len(warned) == is_told
    assert all("step, 100, and does not copy: copy score 0.36" in one.message for one in warned)
