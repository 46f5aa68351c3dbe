"""Runs whose process is killed with SIGKILL at any moment end in the same bits as one that nobody disturbed."""
from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.lora import file
from tests.conftest import Settings

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="forks processes")]

VARIED = {"flip": True, "shuffle_caption": True, "caption_dropout": 0.3, "noise_offset": 0.05, "batch_size": 2,
          "cache_to_disk": True, "scheduler": "cosine", "save_precision": "float", "save_every_epochs": 1,
          "state_every_steps": 1, "keep_states": 2}
FREE = {"ss_session_id", "ss_training_started_at", "ss_training_finished_at", "modelspec.date", "sshs_legacy_hash"}
"""What tells two runs apart that did the same."""


def run(folder: Path, checkpoint: Path, config: dict[str, Any], kills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Trains in a home of its own, in one process per kill and a last one."""
    plan = folder / "plan.json"
    folder.mkdir()
    plan.write_text(json.dumps({"home": str(folder / "home"), "checkpoint": str(checkpoint), "config": config,
                                "kills": kills}))
    command = [sys.executable, "-m", "tests.training.killed_runs", str(plan)]
    done = subprocess.run(command, capture_output=True, text=True)
    parts = [json.loads(line) for line in done.stdout.splitlines()]
    assert parts and parts[-1]["status"] == 0, done.stderr[-3000:]
    return parts


def written(folder: Path) -> dict[str, tuple[dict[str, torch.Tensor], dict[str, str]]]:
    """All files in the LoRA folder (half ones included, which there must not be): tensors and facts that must agree."""
    found = {}
    for path in sorted((folder / "home" / "loras").iterdir()):
        if path.suffix not in (".json", ".png"):
            lora = file.load(path)
            found[path.name] = lora.tensors, {key: value for key, value in lora.metadata.items() if key not in FREE}
    return found


def steps(parts: list[dict[str, Any]]) -> dict[int, tuple[Any, ...]]:
    """What was told of every update; one that was done twice must have been told alike."""
    told: dict[int, tuple[Any, ...]] = {}
    for event in (event for part in parts for event in part["events"] if event["kind"] == "Stepped"):
        said = tuple(event[key] for key in ("epoch", "loss", "average_loss", "lrs", "timestep", "total"))
        assert told.setdefault(event["step"], said) == said
    return told


def test_killed_at_changes_of_the_disk_and_at_any_instant(
    settings: Settings, checkpoint: Path, tmp_path: Path
) -> None:
    config = settings(epochs=3, **VARIED).to_dict()
    (whole,) = run(tmp_path / "whole", checkpoint, config, [])
    rng = random.Random(20261121)
    kills: list[dict[str, Any]] = [{"change": rng.randrange(5, whole["changes"] // 4)} for _ in range(6)]
    kills += [{"event": "Cached", "count": 1}, {"event": "Stepped", "count": 2}, {"event": "StateSaved", "count": 1}]
    rng.shuffle(kills)
    parts = run(tmp_path / "killed", checkpoint, config, kills)
    assert len(parts) > 6
    ours, theirs = written(tmp_path / "killed"), written(tmp_path / "whole")
    assert ours.keys() == theirs.keys() == {"zko-000001.safetensors", "zko-000002.safetensors", "zko.safetensors"}
    for name, (tensors, facts) in theirs.items():
        assert ours[name][1] == facts
        assert all(torch.equal(ours[name][0][key], tensor) for key, tensor in tensors.items())
    assert steps(parts) == steps([whole])
    states = sorted(path.name for path in (tmp_path / "killed/home/outputs/train-lora/zko").glob("*state*"))
    assert states == ["zko-state-00000004", "zko-state-00000005"]
    assert not list((tmp_path / "killed").rglob("*.tmp"))
