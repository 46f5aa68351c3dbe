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
PAIRS = 2
HEAVY = {"pytorch_optimizer", "lib_trainer.training.recipe", "lib_trainer.training.loop"}


def test_the_clone_starts_without_a_complaint(host: Server, home: Path) -> None:
    assert (home / "extensions" / EXTENSION / ".git").is_dir()
    assert "Traceback" not in host.log
    assert "Error loading script" not in host.log
    assert "Error calling" not in host.log
    assert EXTENSION in {entry["name"] for entry in host.get("/sdapi/v1/extensions")}


def test_nothing_stays_on_the_path(host: Server, home: Path) -> None:
    if host.program.kind == "forge":
        pytest.skip("Forge itself leaves the folder of every extension on the path")
    assert str(home / "extensions" / EXTENSION) not in host.get("/probe/process")["path"]


def test_the_clone_is_left_as_it_was(host: Server, home: Path) -> None:
    done = subprocess.run(["git", "-C", str(home / "extensions" / EXTENSION), "status", "--porcelain"],
                          capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_the_start_takes_hardly_longer(program: Program, tmp_path: Path, record_property: Any) -> None:
    """Pairs of starts with and without the extension, in turns, by the host's own clock and by processor time."""
    homes = {"with": tmp_path / "with", "without": tmp_path / "without"}
    for name, home in homes.items():
        server.prepare(program, home, ours=name == "with")
    seconds: dict[str, list[float]] = {name: [] for name in homes}
    processor: dict[str, list[float]] = {name: [] for name in homes}
    for _ in range(PAIRS + 1):
        for name, home in homes.items():
            with server.started(program, home) as host:
                process = host.get("/probe/process")
                assert not HEAVY & set(process["imported"])
                seconds[name].append(server.startup_seconds(host.log)["total"])
                processor[name].append(process["cpu"])
    for table in (seconds, processor):  # the first start compiles Python files
        for times in table.values():
            del times[0]
    extra = {"wall": _gap(seconds), "processor": _gap(processor)}
    print(seconds, processor, extra)
    record_property("start", {"seconds": seconds, "processor": processor, "extra": extra})
    assert min(extra.values()) <= ALLOWED_SECONDS


def _gap(times: dict[str, list[float]]) -> float:
    return statistics.median(times["with"]) - statistics.median(times["without"])
