"""The bench of copiers: its small version, which trains two short copiers on the demo's pairs."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer import bootstrap
from lib_trainer.bench import difference, slider


def test_the_last_score_of_every_copier_is_told() -> None:
    scored = [{"kind": "CopyScored", "score": score} for score in (0.2, 0.61234)]
    part = [{"kind": "PhaseStarted"}]
    assert difference.last_scores([*part, *scored, *part, scored[0], *part, {"kind": "Finished"}]) == [0.612, 0.2]


@pytest.mark.slow
def test_short_copiers_make_a_slider(tmp_path: Path) -> None:
    """A tenth of the uses and few pictures: the ends must differ, and what is asked beside the eyes must stay."""
    app = bootstrap.standalone(None, tmp_path / "models", tmp_path / "loras", tmp_path / "outputs")
    settings = difference.config("short", batch_size=4, repeats=10, epochs=3, learning_rate="8e-3", copier_seeds="1",
                                 copier_every_steps=30, preview_steps=2)
    assert len(difference.train(app.jobs, settings)) == 2
    found = slider.measure(app.host, "short", 4, (-1.0, 1.0))
    assert found.closed[1] - found.closed[0] >= 0.5
    assert min(min(shares) for shares in found.kept.values()) >= 0.75
