"""The measurement of resizes, on small layers."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.bench import workbench


def test_both_ways_are_measured_and_a_whole_file_is_resized(tmp_path: Path) -> None:
    told: list[str] = []
    costs = workbench.measure(tmp_path, told.append, 4, 2, 1, {(48, 32): 3, (32, 32): 2})
    assert sum(workbench.LAYERS.values()) == 722 + 72 + 192
    assert costs.ratio == pytest.approx(costs.product.clock / costs.factors.clock) and costs.whole_file.clock > 0
    assert costs.factors.clock == pytest.approx(sum(cost.layers * cost.factors.clock for cost in costs.shapes))
    assert (tmp_path / "resized.safetensors").is_file() and len(told) == 3
