"""What a WebUI's start has to do for us, counted: seconds depend on the machine, these numbers do not.

Whoever makes one of them greater makes every start of every WebUI longer: docs/PERFORMANCE.md says by how much, and
tests/hosts/real/test_start.py measures it.
"""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOT_YET = (
    "compare.drawing", "compare.peer_plot", "compare.picture_run", "compare.pictures", "data.bucket_report",
    "data.dataset", "lora.metadata", "lora.network", "training.caching", "training.check",
    "training.events", "training.forecast", "training.loop", "training.recipe", "training.resume.search",
    "training.step", "ui.block_weight.analysis_view", "ui.crop_thumbnails", "ui.dataset_card", "workbench",
)
"""What is imported when it is first asked for, with all below it."""

MOST_MODULES = 255
"""Of ours: one takes about half a millisecond, more where it has data classes and patterns."""
MOST_IN_A_PANEL = (190, 115)
"""Components and events of the panel, of which a WebUI has two: one takes a fifth of a millisecond."""
MOST_IN_THE_TAB = (600, 45)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `started` tells of a start."""
    done = subprocess.run([sys.executable, "-m", "tests.hosts.webui.started", str(tmp_path_factory.mktemp("start"))],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_few_modules_are_imported(start: dict[str, Any]) -> None:
    places = [ROOT.joinpath("lib_trainer", *name.split(".")) for name in NOT_YET]
    assert not [place for place in places if not (place.is_dir() or place.with_suffix(".py").is_file())], "moved?"
    waits = tuple(f"lib_trainer.{name}." for name in NOT_YET)
    assert not [name for name in start["modules"] if f"{name}.".startswith(waits)]
    assert len(start["modules"]) <= MOST_MODULES


def test_the_pages_have_few_parts(start: dict[str, Any]) -> None:
    txt2img, img2img = start["panels"]
    assert txt2img == img2img
    for size, most in ((txt2img, MOST_IN_A_PANEL), (start["tabs"]["train_lora"], MOST_IN_THE_TAB),
                       (start["tabs"]["lora_workbench"], (8, 3))):
        assert all(count <= allowed for count, allowed in zip(size, most, strict=True)), (size, most)


def test_no_tab_is_a_web_application_of_its_own(start: dict[str, Any]) -> None:
    assert start["applications"] == 0
