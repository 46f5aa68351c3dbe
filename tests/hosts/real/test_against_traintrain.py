"""The same work done by sd-webui-traintrain and by us, in turns, in one process of the host.

The peer needs a GPU; for a machine without one, give a copy whose device is the CPU (and whose diffusers loader finds a
local config). Its packages may lie in a folder of their own (`--traintrain-packages`).
"""
from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.real import server, training
from tests.hosts.real.opens import Opens
from tests.hosts.real.server import Program, Server

STEPS = int(os.environ.get("TRAIN_LORA_COMPARE_STEPS", "12"))
UNET_BLOCKS = [*(f"IN{n:02}" for n in range(12)), "M00", *(f"OUT{n:02}" for n in range(12))]
SIZE = os.environ.get("TRAIN_LORA_COMPARE_SIZE", "64")


@pytest.fixture
def home(request: pytest.FixtureRequest, program: Program, tmp_path: Path) -> Path:
    """A data folder with both trainers."""
    peer = request.config.getoption("--traintrain")
    if peer is None:
        pytest.skip("no folder of sd-webui-traintrain was given (--traintrain)")
    server.prepare(program, tmp_path, [peer])
    return tmp_path


@pytest.fixture
def packages(request: pytest.FixtureRequest) -> dict[str, str]:
    """What the host's process gets to know of the peer's own packages."""
    folder = request.config.getoption("--traintrain-packages")
    return {"PYTHONPATH": str(folder)} if folder else {}


def test_we_are_ahead_in_time_and_memory(
    program: Program, home: Path, packages: dict[str, str], pictures: Path, record_property: Any
) -> None:
    """Memory of a fresh process counts (freed memory is used again); so there is a process that each of us begins."""
    rows: dict[str, list[dict[str, float]]] = {"peer": [], "ours": []}
    for order in (("peer", "ours", "peer", "ours"), ("ours", "peer", "ours", "peer")):
        with server.started(program, home, environment=packages) as host:
            host.draw("1girl", steps=1)
            for turn, who in enumerate(order):
                train = _peer if who == "peer" else _ours
                row = _measured(host, lambda train=train, who=who: train(host, pictures, f"{who} {time.time_ns()}"))
                rows[who].append(row if turn == 0 else {**row, "peak": math.nan})
    table = {who: {key: statistics.median(row[key] for row in found if not math.isnan(row[key])) for key in found[0]}
             for who, found in rows.items()}
    for who, found in rows.items():
        print(who, table[who], found)
    record_property("against traintrain", table)
    for key in ("first step", "step", "peak"):
        assert table["ours"][key] < table["peer"][key], key


def _measured(host: Server, work: Any) -> dict[str, float]:
    """Runs a training; returns seconds to the first step and per step, peak above idle (MiB), checkpoint reads."""
    idle = host.post("/probe/memory/reset")["now"]
    host.post("/probe/steps")
    with Opens(host.program.models) as opens:
        asked = work()
        reads = sum(opens.counted().values())
    times = host.get("/probe/steps")
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return {"first step": times[0] - asked, "step": statistics.median(gaps), "steps": len(times),
            "peak": host.get("/probe/memory")["peak"] - idle, "reads": reads}


def _peer(host: Server, pictures: Path, name: str) -> float:
    settings = {
        "lora_data_directory": str(pictures), "network_rank": "4", "network_alpha": "2",
        "image_size(height, width)": SIZE, "image_buckets_step": "64", "image_min_length": SIZE,
        "train_iterations": str(STEPS), "train_batch_size": "1", "train_seed": "42", "train_lr_scheduler": "constant",
        "train_model_precision": "fp32", "train_lora_precision": "fp32", "save_precision": "fp32",
        "save_lora_name": name, "network_blocks(BASE = TextEncoder)": UNET_BLOCKS,
    }
    title = next(model["title"] for model in host.get("/sdapi/v1/sd-models")
                 if Path(model["filename"]).name == host.program.checkpoints()[0])
    host.post("/probe/traintrain", {"model": title, "settings": settings})
    while (state := host.get("/probe/traintrain"))["running"]:
        time.sleep(0.5)
    assert state["result"].startswith("Successfully"), state["result"]
    return float(state["asked"])


def _ours(host: Server, pictures: Path, name: str) -> float:
    run = training.start(
        host, pictures, name, epochs=0, steps=STEPS, resolution=SIZE, train_text_encoder=False, min_snr_gamma=5.0,
        learning_rate="1e-4", precision="fp32")
    run.finished()
    return run.asked
