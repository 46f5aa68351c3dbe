"""Our file in the same host without our extension draws what the live adapters and our script drew."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.hosts.real import server, training
from tests.hosts.real.pixels import close, furthest, same
from tests.hosts.real.server import Program, Server

PROMPT = "1girl, blue background"


@pytest.fixture(scope="module")
def drawn(host: Server, pictures: Path) -> tuple[Path, dict[str, Image.Image]]:
    """A file saved in the middle of a training, and what was drawn then: without it, live, and from the file."""
    run = training.start(host, pictures, "without us", steps=10000, learning_rate="2e-2", train_text_encoder=True)
    run.until_step(8)
    run.press("pause")
    run.until("the pause", lambda: run.of("Paused"))
    run.press("save")
    saved = run.until("the file", lambda: run.of("Saved"))[-1]
    images = {"plain": host.draw(PROMPT), "live": host.draw(f"{PROMPT}<lora:__training__:1>"),
              "file": host.draw(f"{PROMPT}<lora:{saved['name']}:1>")}
    run.press("stop", save=False)
    run.end()
    return Path(saved["file"]), images


def test_the_file_draws_what_the_live_adapters_drew(
    program: Program, drawn: tuple[Path, dict[str, Image.Image]], tmp_path: Path
) -> None:
    file, images = drawn
    server.prepare(program, tmp_path, ours=False)
    shutil.copy(file, tmp_path / "models" / "Lora" / "theirs.safetensors")
    with server.started(program, tmp_path) as host:
        host.draw("1girl", steps=1)
        assert same(host.draw(PROMPT), images["plain"])
        theirs = host.draw(f"{PROMPT}<lora:theirs:1>")
    print("furthest from live", furthest(theirs, images["live"]), "from our script", furthest(theirs, images["file"]))
    assert same(theirs, images["file"])
    assert close(theirs, images["live"])
