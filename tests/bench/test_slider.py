"""The bench of sliders: what it says of figures, and its small version, which trains ADDifT on the demo's pairs."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer import bootstrap
from lib_trainer.bench import slider, teach


def slid(closed: list[float], kept: float = 1.0) -> slider.Slid:
    return slider.Slid(1.0, slider.STRENGTHS, closed, {"hair": [kept] * 5}, 0.5, 0.5, 10)


def test_a_slider_keeps_its_promises() -> None:
    assert slid([0.0, 0.0, 0.5, 0.9, 1.0]).broken(slider.Promises()) == []


def test_a_broken_promise_is_named_with_its_figure() -> None:
    told = slid([0.3, 0.5, 0.4, 0.5, 0.6], kept=0.7).broken(slider.Promises())
    assert len(told) == 4
    assert "does not rise" in told[0] and "0.6, promised at least 0.8" in told[1]
    assert "0.7, promised at least 0.8" in told[2] and "hair" in told[3]
    assert not slid([0.5] * 5).is_monotonic


@pytest.mark.slow
def test_thirty_steps_on_four_pairs_make_a_slider(tmp_path: Path) -> None:
    """Fewer steps, pictures and strengths than `bench slider` has: the two ends must differ, and nothing else fall."""
    app = bootstrap.standalone(None, tmp_path / "models", tmp_path / "loras", tmp_path / "outputs")
    config = slider.demo_config("eyes", steps=30)
    assert teach.train(app.jobs, config) > 0
    told: list[str] = []
    found = slider.measure(app.host, config.name, pictures=3, strengths=(-1.0, 0.0, 1.0), report=told.append)
    assert found.is_monotonic and len(told) == 3
    # One picture of three may go either way.
    assert found.closed[0] < 0.5 < found.closed[-1]
    assert min(min(shares) for shares in found.kept.values()) > 0.5
