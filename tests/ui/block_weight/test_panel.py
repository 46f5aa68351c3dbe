"""The block weight panel: presets are shown, edited and explained."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
import torch

from lib_trainer.bootstrap import App
from lib_trainer.errors import UserError
from lib_trainer.lora import file as lora_file
from lib_trainer.ui.block_weight.panel import BlockWeightPanel, save_text

LAYERS = ("lora_unet_up_blocks_1_attentions_0_proj_in", "lora_unet_down_blocks_0_attentions_0_proj_in",
          "lora_te_text_model_encoder_layers_0_mlp_fc1")


@pytest.fixture
def panel(app: App) -> Iterator[BlockWeightPanel]:
    tensors = {}
    for layer in LAYERS:
        tensors |= {f"{layer}.lora_down.weight": torch.zeros(1, 4), f"{layer}.lora_up.weight": torch.zeros(4, 1),
                    f"{layer}.alpha": torch.tensor(1.0)}
    lora_file.save(app.host.paths.loras / "zko.safetensors", tensors, {})
    panel = BlockWeightPanel(app.host)
    with gr.Blocks():
        panel.lay_out(gr.Textbox())
    yield panel


def test_presets_and_their_text_are_shown(panel: BlockWeightPanel) -> None:
    assert "<code>NCNF</code></td><td>17</td>" in panel.table.value
    assert "NCNF:1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0" in panel.text.value


def test_a_tag_is_explained_block_by_block(panel: BlockWeightPanel) -> None:
    shown = panel.on_explain("1girl, <lora:zko:0.8:NCNF>")
    for block, value in (("BASE", "0.8"), ("IN01", "0.8"), ("OUT03", "0")):
        assert f'title="{block}: {value}"' in shown
    assert "did you mean" in panel.on_explain("<lora:zko:1:NCNG>")
    assert "&lt;lora:none:1&gt;" in panel.on_explain("<lora:none:1>")
    assert "No LoRA tag" in panel.on_explain("1girl")


def test_saving_keeps_the_text_before_and_acts_at_once(app: App, panel: BlockWeightPanel) -> None:
    file = app.host.paths.settings / "lbwpresets.txt"
    before = file.read_text(encoding="utf8")
    text = "MINE:" + ",".join(["0.5"] * 17) + "\nSHORT:1,2,3\n"
    table, state, explained = panel.on_save(text, "<lora:zko:1:MINE>")
    assert file.read_text(encoding="utf8") == text
    assert file.with_name("lbwpresets.txt.bak").read_text(encoding="utf8") == before
    assert "MINE" in table and "NCNF" not in table
    assert "2: " in state and "SHORT" in state
    assert 'title="OUT03: 0.5"' in explained
    assert panel.on_reload()[0] == text


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        save_text(tmp_path / "file" / "presets.txt", "x")
