"""The bench of sliders: what it says of figures, and its small version, which trains ADDifT on the demo's pairs."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer import bootstrap
from lib_trainer.bench import slider


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
    """Fewer steps and pictures than `bench slider` has: the ends must differ widely, and every step must not fall."""
    app = bootstrap.standalone(None, tmp_path / "models", tmp_path / "loras", tmp_path / "outputs")
    told: list[str] = []
    found = slider.slider(app.host, app.jobs, told.append, pictures=4, steps=30)
    assert found.is_monotonic
    assert found.closed[-1] >= 0.75 and found.closed[0] <= 0.25
    assert min(min(shares) for shares in found.kept.values()) >= 0.75
    assert found.seconds > 0 and told
