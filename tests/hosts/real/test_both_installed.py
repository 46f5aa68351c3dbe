"""Our extension and sd-webui-lora-block-weight in one host: one of both acts, never both."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.blocks.recorded import FIELD
from lib_trainer.hosts.webui.other_script import OPTION, TITLE, TITLE_ASIDE
from tests.hosts import lora_kinds
from tests.hosts.real import server, training
from tests.hosts.real.pixels import differ, furthest, same
from tests.hosts.real.server import Program, Server

PROMPT = "1girl, blue background"
NAME = "both"
OUTD = "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0"
ARGS = f"MINE:{OUTD}"
"""The first value of the 18 that API clients send: presets."""


@pytest.fixture(scope="module")
def peer(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--block-weight")
    if folder is None:
        pytest.skip("no folder of sd-webui-lora-block-weight was given (--block-weight)")
    return Path(folder)


@pytest.fixture(scope="module")
def start(program: Program, peer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts the host with both extensions and these settings; the former one is ended."""
    with ExitStack() as running:
        def started(**settings: Any) -> Server:
            running.pop_all().close()
            home = tmp_path_factory.mktemp("both")
            server.prepare(program, home, [peer], settings=settings)
            checkpoint = program.models / program.checkpoints()[0]
            lora_kinds.write("lora", checkpoint, home / "models" / "Lora" / f"{NAME}.safetensors", 1)
            host = running.enter_context(server.started(program, home))
            host.draw("1girl", steps=1)
            return host

        yield started


def test_the_other_acts_and_ours_says_so(start: Any, pictures: Path) -> None:
    host = start()
    names = host.get("/sdapi/v1/scripts")["txt2img"]
    assert TITLE.lower() in names and TITLE_ASIDE.lower() in names
    assert host.log.count("gives LoRAs their block weights") == 1 and "Traceback" not in host.log
    whole, part = host.draw(f"{PROMPT}<lora:{NAME}:0.8>"), f"{PROMPT}<lora:{NAME}:0.8:0.8:lbw=OUTD>"
    theirs, info = host.drawn(part)
    assert differ(theirs, whole) and FIELD not in info["extra_generation_params"]
    assert f"LoRA Block weight (lora): {NAME}" in host.log, "the other one's own line"
    sent, _ = host.drawn(f"{PROMPT}<lora:{NAME}:0.8:0.8:lbw=MINE>",
                         alwayson_scripts={TITLE: {"args": [ARGS, True, "Disable", *[None] * 15]}})
    assert same(sent, theirs), "the API's name is the other one's"
    _train_and_draw(host, pictures)
    print("theirs against whole", furthest(theirs, whole))
    assert same(host.draw(part), theirs)
    assert "Traceback" not in host.log


def _train_and_draw(host: Server, pictures: Path) -> None:
    """The adapters in training stay ours, with block weights, and do not disturb the other one."""
    run = training.start(host, pictures, "live", steps=10000, learning_rate="2e-2", train_text_encoder=True)
    run.until_step(4)
    run.press("pause")
    run.until("the pause", lambda: run.of("Paused"))
    plain, tag = host.draw(PROMPT), "<lora:__training__:0.05:NCNF>"
    assert differ(host.draw(PROMPT + tag), plain)
    assert differ(host.draw(f"{PROMPT}{tag}<lora:{NAME}:0.8:0.8:lbw=OUTD>"), host.draw(PROMPT + tag))
    assert same(host.draw(PROMPT), plain)
    run.press("stop", save=False)
    run.end()


def test_taken_over_ours_acts_and_the_others_script_is_left_out(start: Any, peer: Path) -> None:
    host = start(**{OPTION: True})
    names = host.get("/sdapi/v1/scripts")["txt2img"]
    assert names.count(TITLE.lower()) == 1 and TITLE_ASIDE.lower() not in names
    ours, info = host.drawn(f"{PROMPT}<lora:{NAME}:0.8:OUTD>")
    assert OUTD in info["extra_generation_params"][FIELD].replace(" ", "")
    assert "LoRA Block weight (lora)" not in host.log and "was left out" in host.log
    usual: list[Any] = [True, "Disable", "none", "", "none", "", "none", "", "0.5,1", "17ALL", 1, "black", 20, False,
                        "", False, False]
    sent, _ = host.drawn(f"{PROMPT}<lora:{NAME}:0.8:MINE>", alwayson_scripts={TITLE: {"args": [ARGS, *usual]}})
    assert same(sent, ours), "the API's name is ours"
    assert (host.home / "extensions" / peer.name / "scripts" / "lora_block_weight.py").is_file()
    assert "Traceback" not in host.log
