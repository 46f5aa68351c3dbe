"""What the extension does to the start of a real host."""
from __future__ import annotations

import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.real import server
from tests.hosts.real.server import EXTENSION, Program, Server

ALLOWED_SECONDS = 0.3
PAIRS = 3
STAGES = ("load scripts", "scripts", "create ui", "gradio launch", "add APIs", "app_started")
HEAVY = {"pytorch_optimizer", "lib_trainer.training.recipe", "lib_trainer.training.loop"}


def test_the_clone_starts_without_a_complaint(host: Server, home: Path) -> None:
    assert (home / "extensions" / EXTENSION / ".git").is_dir()
    assert "Traceback" not in host.log
    assert "Error loading script" not in host.log
    assert "Error calling" not in host.log
    assert EXTENSION in {entry["name"] for entry in host.get("/sdapi/v1/extensions")}


def test_nothing_stays_on_the_path(host: Server, home: Path) -> None:
    if host.program.kind != "a1111":
        pytest.skip("Forge and reForge leave the folder of every extension on the path themselves")
    assert str(home / "extensions" / EXTENSION) not in host.get("/probe/process")["path"]


def test_the_clone_is_left_as_it_was(host: Server, home: Path) -> None:
    done = subprocess.run(["git", "-C", str(home / "extensions" / EXTENSION), "status", "--porcelain"],
                          capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_the_start_takes_hardly_longer(program: Program, tmp_path: Path, record_property: Any) -> None:
    """Pairs of starts with and without the extension, in turns, by the host's own clock.

    Its imports of torch and gradio take most of a start and differ by seconds from one to the next; an extension has no
    part in them, so the stages after them are compared.
    """
    homes = {"with": tmp_path / "with", "without": tmp_path / "without"}
    for name, home in homes.items():
        server.prepare(program, home, ours=name == "with")
    stages: dict[str, list[dict[str, float]]] = {name: [] for name in homes}
    for _ in range(PAIRS + 1):
        for name, home in homes.items():
            with server.started(program, home) as host:
                assert not HEAVY & set(host.get("/probe/process")["imported"])
                stages[name].append(server.startup_seconds(host.log))
    seconds = {name: [_of_extensions(times) for times in starts[1:]] for name, starts in stages.items()}
    extra = statistics.median(seconds["with"]) - statistics.median(seconds["without"])  # the first compiles our files
    print(stages, seconds, extra)
    record_property("start", {"stages": stages, "seconds": seconds, "extra": extra})
    assert extra <= ALLOWED_SECONDS


def _of_extensions(times: dict[str, float]) -> float:
    """The seconds of those stages in which extensions have a part."""
    return sum(seconds for stage, seconds in times.items() if stage.startswith(STAGES))
