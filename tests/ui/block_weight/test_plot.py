"""The plot on the page: how many pictures it would be, drawn with the tab's settings; the script's values in order."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from lib_trainer.bootstrap import App
from lib_trainer.hosts.webui import script_args
from lib_trainer.txt2img_host import GenerateRequest
from lib_trainer.ui.block_weight import script_controls
from lib_trainer.ui.block_weight.panel import BlockWeightPanel
from lib_trainer.ui.block_weight.plot import PlotPanel
from lib_trainer.ui.txt2img import Txt2Img

PROMPT = "a cat <lora:nobody:1:XYZ>"
AXES = ("values", "0,0.5,1", "Block ID", "M00,IN05", "none", "")


@pytest.fixture
def tab(app: App) -> Txt2Img:
    tab = Txt2Img(app.host, GenerateRequest(PROMPT, steps=1))
    with gr.Blocks():
        tab.lay_out()
    return tab


@pytest.fixture
def plot(tab: Txt2Img) -> PlotPanel:
    return tab._block_weights.plot


def draw(tab: Txt2Img, *axes: str, **changes: Any) -> list[list[Any]]:
    values = {**{name: control.value for name, control in tab.controls.items()}, **changes}
    return list(tab.on_plot(*axes, *values.values()))


def test_the_number_of_pictures_is_said_before(plot: PlotPanel) -> None:
    assert "<b>5</b> <span>pictures</span>, <b>1</b> <span>grid</span>" in plot.on_estimate(PROMPT, *AXES)
    assert "<b>10</b>" in plot.on_estimate(PROMPT, *AXES[:4], "seed", "-1,-1")
    assert "<b>2</b> <span>grids" in plot.on_estimate(PROMPT, *AXES[:4], "seed", "-1,-1")


def test_faults_are_said_before_and_only_where_a_plot_is_wanted(plot: PlotPanel) -> None:
    assert "did you mean" in plot.on_estimate(PROMPT, "values", "0", "Blok ID", "M00", "none", "")
    assert plot.on_estimate("a cat", *AXES) == plot.on_estimate("", *AXES) == ""


def test_what_the_page_begins_with_is_a_plot(plot: PlotPanel) -> None:
    assert "pictures" in plot.on_estimate(PROMPT, *(axis.value for axis in plot.axes))


def test_the_button_draws_with_the_tabs_settings(tab: Txt2Img, app: App) -> None:
    answers = draw(tab, *AXES, seed=5, batch_count=4)
    assert "Waiting for its turn" in answers[0][0] and any("5 / 5" in answer[0] for answer in answers)
    bar, files, told = answers[-1]
    assert bar == "" and len(files) == 1 + 5 and "nobody" in told and "Interrupted" not in told
    assert Path(files[0]).parent == app.host.paths.outputs / "grids"
    with Image.open(files[1]) as cell:
        assert cell.size == (64, 64) and "Seed: 5" in cell.info["parameters"]


def test_faults_are_told_in_the_plots_own_place(tab: Txt2Img) -> None:
    assert "needs a place in the prompt" in draw(tab, *AXES, prompt="a cat")[-1][2]
    assert "Seed is empty" in draw(tab, *AXES, seed=None)[-1][2]
    assert "70" in draw(tab, *AXES, width=70)[-1][2]


def test_interrupt_keeps_what_was_drawn(tab: Txt2Img) -> None:
    values = {name: control.value for name, control in tab.controls.items()} | {"steps": 30}
    answers = tab.on_plot(*AXES, *values.values())
    next(answers)
    for answer in answers:
        if not answer[0].startswith('<div class="tl-track"><div class="tl-fill" style="width:0%'):
            tab._interrupt.set()
    assert "Interrupted." in answer[2] and len(answer[1]) < 6


@pytest.fixture
def panel(app: App) -> BlockWeightPanel:
    with gr.Blocks():
        panel = BlockWeightPanel(app.host, "txt2img")
        panel.lay_out(gr.Textbox())
    return panel


def test_the_scripts_values_stand_in_the_peers_order(panel: BlockWeightPanel) -> None:
    assert tuple(panel.script.named) == script_args.NAMES
    assert list(panel.script.named.values()) == panel.script.components
    assert script_controls.MODES == script_args.MODES


def test_what_the_panel_begins_with_asks_for_nothing(panel: BlockWeightPanel) -> None:
    """The hosts' API takes the components' values as they are: a choice as its word."""
    args = script_args.read([component.value for component in panel.script.components])
    assert not args.faults and not args.says_something
    assert args.axes[:2] == [("values", "0,0.25,0.5,0.75,1"), ("Block ID", "IN05-OUT05")]


def test_only_what_clients_send_is_hidden_and_not_kept(panel: BlockWeightPanel) -> None:
    hidden = {name for name, component in panel.script.named.items() if component.visible is False}
    assert hidden == {"presets", "elemental", "print_change", "debug"}
    assert all(panel.script.named[name].do_not_save_to_config for name in hidden)
