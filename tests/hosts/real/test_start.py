"""What the extension does to the start of a real host."""
from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.real import server
from tests.hosts.real.server import EXTENSION, Program, Server

ALLOWED_SECONDS = 0.3
PAIRS = 5
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
    """Starts with and without the extension, in turns: what is spent inside what the host calls of ours.

    The clock of a start differs by seconds from one to the next, so what is promised is the processor's time; stages by
    the host's own clock and the processor's time of the whole process are written beside it.
    """
    homes = {"with": tmp_path / "with", "without": tmp_path / "without"}
    for name, home in homes.items():
        server.prepare(program, home, ours=name == "with")
    starts: dict[str, list[dict[str, Any]]] = {name: [] for name in homes}
    for _ in range(PAIRS + 1):
        for name, home in homes.items():
            with server.started(program, home) as host:
                process = host.get("/probe/process")
                assert not HEAVY & set(process["imported"])
                starts[name].append({"spent": process["spent"], "modules": len(process["imported"]),
                                     "whole": process["cpu"],
                                     "stages": _of_extensions(server.startup_seconds(host.log))})
    kept = {name: found[1:] for name, found in starts.items()}  # the first start of all compiles our files
    medians = {name: {key: statistics.median(one[key] for one in found) for key in ("whole", "stages", "modules")}
               for name, found in kept.items()}
    spent = {name: statistics.median(one["spent"][name]["processor"] for one in kept["with"])
             for name in kept["with"][0]["spent"]}
    print(json.dumps({"spent": spent, "medians": medians, "starts": starts}))
    record_property("start", {"spent": spent, "medians": medians})
    assert spent["all"] <= ALLOWED_SECONDS


def _of_extensions(times: dict[str, float]) -> float:
    """The seconds of those stages in which extensions have a part."""
    return sum(seconds for stage, seconds in times.items() if stage.startswith(STAGES))
