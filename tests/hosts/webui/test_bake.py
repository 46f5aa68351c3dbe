"""Baked LoRAs in the WebUIs' own generation: the file from the panel draws what the tag drew."""
from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest

from lib_trainer.ui.block_weight.bake import BakePanel
from tests.contract.case import HostCase
from tests.hosts.webui.generation import WEBUIS, distance, draw, with_loras


@pytest.fixture(scope="module", params=WEBUIS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCase]:
    with with_loras(request.param, tmp_path_factory.mktemp(request.param)) as case:
        yield case


@pytest.mark.parametrize(
    "arguments", ["0.8:OUTALL", "te=0.5:unet=1:lbw=ALL,IN04-IN08@-0.3,MID@0", "0.7:lbwe=OUT03-OUT05/attn@0"])
def test_the_file_draws_what_the_tag_drew(case: HostCase, arguments: str) -> None:
    panel = BakePanel(case.host, "block_weight")
    with gr.Blocks():
        panel.lay_out(None)
    name = f"baked-{len(arguments)}"
    told = panel.on_bake(f"<lora:one:{arguments}>", name, 0)
    assert f"&lt;lora:{name}:1&gt;" in told and "tl-error" not in told
    weighted, baked = draw(f"a cat<lora:one:{arguments}>"), draw(f"a cat<lora:{name}:1>")
    # multiplied before the product instead of after it: the last digit, in float32
    assert distance(weighted, baked) <= max(1, case.levels)
    assert weighted.comments == baked.comments == []
    assert distance(weighted, draw("a cat<lora:one:1>")) > max(1, case.levels)
