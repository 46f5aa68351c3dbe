"""The bench that asks whether training teaches: its small version, on the checkpoint and dataset that ship."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer import bootstrap
from lib_trainer.bench import speed, teach


def test_shuffled_captions_move_but_none_is_lost(tmp_path: Path) -> None:
    teach.shuffle_captions(teach.DATASET, tmp_path / "zunko", seed=42)
    before = {file.relative_to(teach.DATASET): file.read_text("utf8") for file in teach.DATASET.rglob("*.txt")}
    copy = tmp_path / "zunko"
    after = {file.relative_to(copy): file.read_text("utf8") for file in copy.rglob("*.txt")}
    assert before.keys() == after.keys()
    assert sorted(before.values()) == sorted(after.values())
    concept = [text for name, text in after.items() if name.parts[0] == "train"]
    assert concept and not any("zunko" in text for text in concept)
    assert {file.name for file in teach.DATASET.rglob("*.png")} == {file.name for file in copy.rglob("*.png")}


def test_a_broken_promise_is_named_with_its_figure() -> None:
    measured = teach.Taught(
        seconds=400.0, taught=0.5, untaught=0.0, shuffled=0.1, before={}, after={}, kept=0.9, asked={}, pictures=50
    )
    sentences = measured.broken(teach.Promises())
    assert len(sentences) == 2
    assert "0.5, promised at least 0.8" in sentences[0]
    assert "400, promised at most 300" in sentences[1]


@pytest.mark.slow
def test_a_short_training_teaches_the_concept_and_harms_nothing(tmp_path: Path) -> None:
    """Less than half of the full training, few pictures: the bounds are looser than the promises, not absent."""
    app = bootstrap.standalone(None, tmp_path / "models", tmp_path / "loras", tmp_path / "outputs")
    told: list[str] = []
    measured = teach.teach(app.host, app.jobs, told.append, pictures=6, control=False, steps=300)
    assert measured.taught >= 0.5
    assert measured.untaught == 0.0
    assert measured.kept >= 0.8
    assert measured.shuffled is None
    assert told


@pytest.mark.slow
def test_speed_measures_every_figure(tmp_path: Path) -> None:
    app = bootstrap.standalone(None, tmp_path / "models", tmp_path / "loras", tmp_path / "outputs")
    told: list[str] = []
    measured = speed.speed(app.host, app.jobs, told.append, steps=6, rounds=1)
    assert measured.first_step > 0
    assert measured.step_all > 0
    assert measured.step_some > 0
    assert measured.cached_per_second > 0
    assert measured.peak_memory > 100
    assert told
