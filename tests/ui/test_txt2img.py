"""txt2img's handlers on a real host: draw, progress, warnings, interrupt, seeds, LoRA names."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from lib_trainer.bootstrap import App
from lib_trainer.txt2img_host import GenerateRequest
from lib_trainer.ui.txt2img import Txt2Img


@pytest.fixture
def tab(shared_app: App) -> Txt2Img:
    tab = Txt2Img(shared_app.host, GenerateRequest("1girl", steps=2, cfg=5.0))
    with gr.Blocks():
        tab.lay_out()
    return tab


def draw(tab: Txt2Img, **changes: Any) -> list[list[Any]]:
    values = {**{name: control.value for name, control in tab.controls.items()}, **changes}
    return list(tab.on_generate(*values.values()))


def test_the_controls_begin_with_the_request_and_the_checkpoints_size(tab: Txt2Img) -> None:
    request = tab.request(tuple(control.value for control in tab.controls.values()))
    assert (request.prompt, request.steps, request.cfg) == ("1girl", 2, 5.0)
    assert (request.width, request.height, request.seed) == (64, 64, -1)
    assert request.sampler == tab.controls["sampler"].choices[0][0]


def test_pictures_come_with_progress_and_infotext(tab: Txt2Img) -> None:
    answers = draw(tab, seed=7, steps=3, batch_size=2)
    assert "Waiting for its turn" in answers[0][0] and answers[0][2] == ""
    assert "3 / 3" in answers[-2][0]
    bar, images, comments, infotext, _ = answers[-1]
    assert bar == "" and comments == "" and "Seed: 7" in infotext and len(images) == 2
    with Image.open(images[0]) as image:
        assert image.size == (64, 64) and image.info["parameters"] == infotext
    assert tab.on_reuse(infotext) == 7 and tab.on_reuse("") == -1


def test_an_unknown_preset_is_told_beside_the_picture(tab: Txt2Img) -> None:
    _, images, comments, _, _ = draw(tab, prompt="<lora:nobody:1:NCNG> 1girl", steps=1)[-1]
    assert len(images) == 1 and "tl-warn" in comments and "nobody" in comments


def test_faults_of_the_request_are_told_together(tab: Txt2Img) -> None:
    answer = draw(tab, width=70, sampler="none such")[-1]
    assert "70" in answer[2] and "none such" in answer[2] and answer[2].count("tl-error") == 2
    assert "Seed is empty" in draw(tab, seed=None)[-1][2]


def test_interrupt_ends_a_long_generation(tab: Txt2Img) -> None:
    values = {name: control.value for name, control in tab.controls.items()} | {"steps": 150}
    answers = tab.on_generate(*values.values())
    bars = [next(answers)[0]]
    while "150" not in bars[-1]:  # the first step is done
        bars.append(next(answers)[0])
    tab._interrupt.set()
    *_, last = answers
    assert "Interrupted" in last[2] and last[1] == []


def test_lora_names_are_read_from_the_folder_and_inserted(tab: Txt2Img, shared_app: App) -> None:
    file = Path(shared_app.host.paths.loras) / "new one.safetensors"
    file.write_bytes(b"")
    try:
        assert "new one" in tab.on_refresh(None)["choices"]
        assert tab.on_refresh("new one")["value"] == "new one"
    finally:
        file.unlink()
    assert tab.on_insert("1girl, ", "zko") == "1girl, <lora:zko:1>"
    assert tab.on_insert("", "zko") == "<lora:zko:1>"
    assert tab.on_insert("1girl", None) == "1girl"
