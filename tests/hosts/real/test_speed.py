"""What a change of block weights costs beside the host's own change of a strength, in turns, in one process.

Give a checkpoint of true size (`--models`): merging a LoRA into the layers is what both changes cost then.
"""
from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.real import server, training
from tests.hosts.real.opens import Opens
from tests.hosts.real.server import Program, Server

PROMPT = "1girl, blue background"
NAME = "speed"
PAIRS = 9
ALLOWED = 1.05
EVERY = (",".join(f"{0.5 + place / 40:.3f}" for place in range(17)),
         ",".join(f"{0.95 - place / 40:.3f}" for place in range(17)))
"""Two lists with no block at 0 and none at 1, so that as much is merged as by the host."""
STRENGTHS = (":0.8", ":0.7")
CHANGES = {"presets": (":0.8:NCNF", ":0.8:OUTD"), "lists": tuple(f":0.8:lbw={numbers}" for numbers in EVERY)}


@pytest.fixture(scope="module", autouse=True)
def lora(host: Server, pictures: Path) -> None:
    """A LoRA of every attention layer and the text encoder."""
    training.start(host, pictures, NAME, rank=16, alpha=16, learning_rate="1e-2", train_text_encoder=True).finished()


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_a_change_of_block_weights_costs_no_more_than_a_change_of_strength(
    host: Server, what: str, record_property: Any
) -> None:
    times: dict[str, list[tuple[float, float]]] = {"host": [], "ours": []}
    for tag in (*STRENGTHS, *CHANGES[what]):
        _draw(host, tag)
    before = host.post("/probe/memory/reset")
    with Opens(host.loras) as opens:
        for pair in range(PAIRS):
            for who, tags in (("host", STRENGTHS), ("ours", CHANGES[what])):
                times[who].append(_draw(host, tags[pair % 2]))
        counted = opens.counted()
    after = host.post("/probe/memory/reset")
    medians = _medians(times)
    ratios = [ours / stock for ours, stock in zip(medians["ours"], medians["host"], strict=True)]
    print(what, medians, "ratios", ratios, "MiB before and after", before["now"], after["now"], times)
    record_property(what, {"times": times, "ratios": ratios, "memory": (before, after)})
    assert counted == {}
    assert after["now"] <= before["now"] + 256, "one copy of what was merged would be more"
    assert min(ratios) <= ALLOWED


def test_a_picture_without_tags_costs_nothing(
    program: Program, host: Server, tmp_path: Path, record_property: Any
) -> None:
    """Two hosts side by side, in turns: with our extension and without."""
    server.prepare(program, tmp_path, ours=False)
    times: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    with server.started(program, tmp_path) as bare:
        for one in (host, bare):
            for _ in range(3):
                one.draw(PROMPT)
        for _ in range(2 * PAIRS):
            for who, one in (("with", host), ("without", bare)):
                times[who].append(_draw(one, ""))
    medians = _medians(times)
    print(medians, times)
    record_property("no tag", medians)
    assert any(ours <= bare * ALLOWED + 0.01 for ours, bare in zip(medians["with"], medians["without"], strict=True))


def _draw(host: Server, arguments: str) -> tuple[float, float]:
    """Draws a small picture of one step; returns its seconds and those of the processor, which others do not take."""
    processor, begin = host.get("/probe/process")["cpu"], time.perf_counter()
    host.draw(PROMPT + (f"<lora:{NAME}{arguments}>" if arguments else ""), steps=1)
    return time.perf_counter() - begin, host.get("/probe/process")["cpu"] - processor


def _medians(times: dict[str, list[tuple[float, float]]]) -> dict[str, list[float]]:
    """Returns the medians of both clocks."""
    return {who: [statistics.median(clock) for clock in zip(*pairs, strict=True)] for who, pairs in times.items()}
