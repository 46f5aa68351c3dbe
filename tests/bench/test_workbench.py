"""The measurements of resizes and extractions, on small layers."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.bench import extraction, workbench


def test_both_ways_are_measured_and_a_whole_file_is_resized(tmp_path: Path) -> None:
    told: list[str] = []
    costs = workbench.measure(tmp_path, told.append, 4, 2, 1, {(48, 32): 3, (32, 32): 2})
    assert sum(workbench.LAYERS.values()) == 722 + 72 + 192
    assert costs.ratio == pytest.approx(costs.product.clock / costs.factors.clock) and costs.whole_file.clock > 0
    assert costs.factors.clock == pytest.approx(sum(cost.layers * cost.factors.clock for cost in costs.shapes))
    assert (tmp_path / "resized.safetensors").is_file() and len(told) == 3


def test_an_extraction_is_measured_both_ways_and_keeps_as_much() -> None:
    told: list[str] = []
    costs = extraction.measure(told.append, 4, 1, {(48, 32): 3, (32, 64): 2})
    assert sum(extraction.LAYERS.values()) == 192 and len(told) == 2
    assert costs.processor_ratio == pytest.approx(costs.usual.processor / costs.ours.processor)
    assert costs.ours.clock == pytest.approx(sum(cost.layers * cost.ours.clock for cost in costs.shapes))
    for cost in costs.shapes:
        assert 0 < cost.kept < 1 and cost.kept == pytest.approx(cost.usual_kept, abs=1e-6)
