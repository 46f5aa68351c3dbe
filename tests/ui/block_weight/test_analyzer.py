"""The analyzer in the panel on a real host: cost, both modes, Stop, what goes back into the prompt."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lib_trainer.bootstrap import EmbeddedApp
from lib_trainer.txt2img_host import GenerateRequest
from lib_trainer.ui.block_weight.analyzer import AnalyzerPanel
from lib_trainer.ui.block_weight.panel import BlockWeightPanel
from lib_trainer.ui.txt2img import Txt2Img
from tests.compare import known_loras

PROMPT = "1girl <lora:known:0.8:NCNF>"


@pytest.fixture
def lora(shared_app: EmbeddedApp) -> Iterator[Path]:
    path = known_loras.write(shared_app.host, "known", {"OUT10": 1.0, "IN02": 0.1})
    yield path
    path.unlink()


@pytest.fixture
def tab(shared_app: EmbeddedApp) -> Txt2Img:
    tab = Txt2Img(shared_app.host, GenerateRequest("1girl", steps=2, cfg=5.0))
    with gr.Blocks():
        tab.lay_out()
    return tab


@pytest.fixture
def panel(tab: Txt2Img) -> AnalyzerPanel:
    return tab._block_weights.analyzer


def values(tab: Txt2Img, prompt: str = PROMPT, lora: str | None = None, mode: str = "Quick, without pictures",
           keep: float = 90, seed: float | None = 1, **boxes: Any) -> list[Any]:
    named = {name: box.value for name, box in tab._block_weights.analyzer.boxes.named.items()} | boxes
    return [prompt, lora, mode, keep, seed, *named.values(), *(control.value for control in tab.controls.values())]


def test_the_quick_way(lora: Path, tab: Txt2Img, panel: AnalyzerPanel) -> None:
    answers = list(panel.on_analyze(*values(tab)))
    assert "<b>37</b>" in answers[0][0] and "predictions" in answers[0][0]
    state, results, sheets, weights = answers[-1]
    assert state == "" and sheets["visible"] is False and weights.count(",") == 16
    assert results.index("<b>OUT10</b>") < results.index("<b>IN02</b>") < results.index("<b>IN01</b>")
    assert "<svg" in results and "measured together" in results and "<img" not in results
    assert "s</b>" in panel.on_cost(*values(tab)) and " x " in panel.on_cost(*values(tab))  # known by now
    assert panel.on_use(PROMPT, None, weights) == f"1girl <lora:known:0.8:lbw={weights}>"


def test_pictures_are_shown_and_kept(lora: Path, tab: Txt2Img, panel: AnalyzerPanel, shared_app: EmbeddedApp) -> None:
    asked = values(tab, mode="With pictures", blocks="OUT10,IN02", range="0,1", n_seeds=2)
    *_, (state, results, sheets, weights) = panel.on_analyze(*asked)
    assert results.count("<img") == 4 and "data:image/jpeg;base64," in results
    assert len(sheets["value"]) == 2 and sheets["visible"] is True and weights
    folder = Path(re.findall(r"<code>(.*?)</code>", state)[0])
    assert folder.is_relative_to(shared_app.host.paths.outputs) and (folder / "sheet-2.png").is_file()


def test_one_measurement_tells_what_all_would_take(lora: Path, tab: Txt2Img, panel: AnalyzerPanel) -> None:
    assert " x " not in panel.on_cost(*values(tab, mode="With pictures"))
    assert re.search(r"20 x [\d.e-]+ s = ", panel.on_estimate(*values(tab, mode="With pictures")))
    assert re.search(r"37 x [\d.e-]+ s = ", panel.on_estimate(*values(tab)))


def test_stop_ends_it(lora: Path, tab: Txt2Img, panel: AnalyzerPanel) -> None:
    answers = panel.on_analyze(*values(tab))
    next(answers)
    next(answers)
    panel._stop.set()
    assert "Stopped." in list(answers)[-1][0]
    pictures = panel.on_analyze(*values(tab, mode="With pictures"))
    next(pictures)
    next(pictures)
    panel._stop.set()
    assert "stopped" in list(pictures)[-1][1]


@pytest.mark.parametrize(("changes", "quoted"), [
    ({"prompt": "1girl"}, "no LoRA"), ({"prompt": "<lora:nobody:1>"}, "nobody"), ({"seed": None}, "seed is empty"),
    ({"blocks": "IN99"}, "IN99"), ({"range": "x"}, "range"), ({"n_seeds": None}, "number of seeds"),
    ({"threshold": "much"}, "threshold")])
def test_faults_are_told(lora: Path, tab: Txt2Img, panel: AnalyzerPanel, changes: dict[str, Any], quoted: str) -> None:
    *_, last = panel.on_analyze(*values(tab, **changes))
    assert "tl-error" in last[0] and quoted in last[0]
    assert "tl-error" in panel.on_estimate(*values(tab, **changes))


def test_the_loras_of_the_prompt_are_offered(panel: AnalyzerPanel) -> None:
    offered = panel.on_prompt("<lora:a:1> <lora:b:1>", "b")
    assert (offered["choices"], offered["value"]) == (["a", "b"], "b")
    assert panel.on_prompt("<lora:a:1>", "gone")["value"] == "a" and panel.on_prompt("", "a")["value"] is None


def test_a_proposal_becomes_a_preset(lora: Path, tab: Txt2Img, panel: AnalyzerPanel) -> None:
    presets = tab._block_weights.presets
    weights = ",".join(["1", *["0"] * 16])
    presets.on_put("FOUND", weights)
    assert "tl-error" not in panel.on_kept("FOUND", weights)
    assert "tl-error" in panel.on_kept("FOUND", weights.replace("1", "0.5"))
    assert "tl-error" in panel.on_kept("", weights)


def test_under_a_webui_the_scripts_values_are_the_analyzers_boxes(shared_app: EmbeddedApp) -> None:
    panel = BlockWeightPanel(shared_app.host, "txt2img")
    with gr.Blocks() as page:
        prompt = gr.Textbox("")
        panel.lay_out(prompt)
    named = panel.script.named
    assert all(named[name] is box for name, box in panel.analyzer.boxes.named.items()) and len(named) == 18
    assert panel.analyzer._drawn(()).like_txt2img
    assert all(box._id in page.blocks for box in named.values())


def test_labels_cannot_break_the_page(shared_app: EmbeddedApp, lora: Path, tab: Txt2Img, panel: AnalyzerPanel) -> None:
    answer = panel.on_estimate(*values(tab, blocks="<script>x</script>"))
    assert "<script>" not in answer
