"""The bench of copiers: its small version, which trains two short copiers on the demo's pairs."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lib_trainer import bootstrap
from lib_trainer.bench import difference, slider
from lib_trainer.bench.difference import Copier


def test_it_is_told_how_every_copier_ended() -> None:
    def copier(*scores: float) -> list[dict[str, Any]]:
        return [{"kind": "PhaseStarted"}, *(one for step, score in enumerate(scores, 1) for one in (
            {"kind": "Stepped", "step": step}, {"kind": "CopyScored", "score": score}))]

    told = [*copier(0.2, 0.61234), {"kind": "Stepped", "step": 3}, *copier(0.2), {"kind": "PhaseStarted"}]
    assert difference.ends_of(told) == [Copier(0.612, 3), Copier(0.2, 1)]


@pytest.mark.slow
def test_short_copiers_make_a_slider(tmp_path: Path) -> None:
    """A tenth of the uses and few pictures: the ends must differ, and what is asked beside the eyes must stay."""
    app = bootstrap.standalone(None, tmp_path / "models", tmp_path / "loras", tmp_path / "outputs")
    settings = difference.config("short", batch_size=4, repeats=10, epochs=3, learning_rate="8e-3", copier_seeds="1",
                                 copier_every_steps=30, preview_steps=2, copier_score=0.0)
    assert len(difference.train(app.jobs, settings)) == 2
    found = slider.measure(app.host, "short", 4, (-1.0, 1.0))
    assert found.closed[1] - found.closed[0] >= 0.5
    assert min(min(shares) for shares in found.kept.values()) >= 0.75
