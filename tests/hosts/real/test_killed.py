"""A WebUI that is killed in the middle of a training: started again, it goes on as if nothing had been."""
from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.real import server, training
from tests.hosts.real.pixels import same
from tests.hosts.real.server import Program

PROMPT = "1girl, blue background"
SETTINGS = {"steps": 12, "epochs": 0, "train_text_encoder": True, "flip": True, "shuffle_caption": True,
            "caption_dropout": 0.2, "network_dropout": 0.1, "ema_decay": 0.9, "scheduler": "cosine",
            "state_every_steps": 3}


@pytest.mark.parametrize("changes", [
    {}, {"algorithm": "lokr", "factor": 4, "network_dropout": 0.0, "optimizer": "Prodigy", "learning_rate": "1"},
], ids=["lora", "lokr with Prodigy"])
def test_a_killed_host_goes_on_bit_for_bit(
    program: Program, pictures: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = {**SETTINGS, **changes}
    server.prepare(program, tmp_path)
    with server.started(program, tmp_path) as host:
        plain = host.draw(PROMPT)
        run = training.start(host, pictures, "cut", **settings)
        run.until_step(8)
        os.killpg(host.process.pid, signal.SIGKILL)
        host.process.wait(60)
    with server.started(program, tmp_path) as host:
        whole = training.tensors(training.start(host, pictures, "whole", **settings).finished())
        again = training.start(host, pictures, "cut", resume="auto", **settings)
        assert training.tensors(again.finished()) == whole
        assert again.of("Started")[0]["step"] in (6, 9)
        assert same(host.draw(PROMPT), plain)
