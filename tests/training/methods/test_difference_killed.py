"""A difference of copiers whose process is killed in any of its parts ends in the same bits as an undisturbed one."""
from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.methods.test_difference import Make, make, pairs
from tests.training.test_killed_runs import run, written

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="forks processes")]
__all__ = ["make", "pairs"]


def test_killed_in_every_part(make: Make, checkpoint: Path, tmp_path: Path) -> None:
    config = make(state_every_steps=1, keep_copiers=True, copier_every_steps=1, flip=True, epochs=2,
                  copier_score=0.0, copier_level=0).to_dict()
    (whole,) = run(tmp_path / "whole", checkpoint, config, [])
    rng = random.Random(20261121)
    kills: list[dict[str, Any]] = [
        {"event": kind, "count": 1} for kind in ("CopyScored", "Saved", "StateSaved", "Worked")]
    kills += [{"change": rng.randrange(5, whole["changes"] // 3)}]
    parts = run(tmp_path / "killed", checkpoint, config, kills)
    assert sum(part["killed"] for part in parts) >= 4
    ours, theirs = written(tmp_path / "killed"), written(tmp_path / "whole")
    assert ours.keys() == theirs.keys() == {
        "light-after.safetensors", "light-before.safetensors", "light.safetensors"}
    for name, (tensors, facts) in theirs.items():
        assert ours[name][1] == facts
        assert all(torch.equal(ours[name][0][key], tensor) for key, tensor in tensors.items())
    assert not list((tmp_path / "killed").rglob("*.tmp"))
