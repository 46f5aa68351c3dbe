"""The block weight panel: its parts in their order, and the prompt explained."""
from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest
import torch

from lib_trainer.bootstrap import App
from lib_trainer.lora import file as lora_file
from lib_trainer.ui.block_weight import explained
from lib_trainer.ui.block_weight.panel import BlockWeightPanel

LAYERS = ("lora_unet_up_blocks_1_attentions_0_proj_in", "lora_unet_up_blocks_1_attentions_0_proj_out",
          "lora_unet_down_blocks_0_attentions_0_proj_in", "lora_te_text_model_encoder_layers_0_mlp_fc1")


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


def test_a_tag_is_explained_block_by_block(panel: BlockWeightPanel) -> None:
    shown = panel.on_explain("1girl, <lora:zko:0.8:NCNF>")
    for block, value in (("BASE", "0.8"), ("IN01", "0.8"), ("OUT03", "0")):
        assert f'title="{block}: {value}"' in shown
    assert "0.8: BASE, IN01; 0: OUT03" in shown
    assert "<code>NCNF</code>" in shown
    assert "No LoRA tag" in panel.on_explain("1girl")


def test_errors_come_first_and_quote_the_tag(panel: BlockWeightPanel) -> None:
    shown = panel.on_explain("<lora:zko:1:NCNG> <lora:none:1>")
    assert "did you mean" in shown and "There is no LoRA" in shown
    assert "did you mean &#x27;zko&#x27;" in panel.on_explain("<lora:zkp:1>")
    assert "tl-error" not in panel.on_explain("<lora:__training__:1>")
    assert shown.index("tl-error") < shown.index("tl-bars")


def test_rules_steps_and_chance_are_told(panel: BlockWeightPanel) -> None:
    shown = panel.on_explain("<lora:zko:1:lbw=1,R,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1:lbwe=PROJDEEPOFF:step=5-20>")
    assert "PROJDEEPOFF = IN05-" in shown
    assert "steps 5 to 19" in shown
    assert "drawn anew for every seed" in shown
    assert 'title="OUT03: 0"' in shown
    mixed = panel.on_explain("<lora:zko:1:lbwe=OUT03/=proj_in@0:start=3>")
    assert 'class="tl-open" title="OUT03: 0 to 1"' in mixed
    assert "from step 3 on" in mixed


def test_equal_neighbours_are_joined_in_words() -> None:
    numbers = {"BASE": "1", "IN01": "1", "IN02": "1", "IN04": "0", "M00": "0", "OUT03": "1", "OUT04": "1"}
    assert explained.in_words(numbers) == "1: BASE, IN01-IN02, OUT03-OUT04; 0: IN04, M00"


def test_the_parts_stand_in_their_order_and_the_panel_is_folded(app: App) -> None:
    with gr.Blocks() as page:
        BlockWeightPanel(app.host).lay_out(None)
    found = [block for block in page.blocks.values() if isinstance(block, gr.Accordion)]
    assert found[0].label == "Block weights"
    assert not any(block.open for block in found)
    order = [block.elem_id for block in page.blocks.values() if block.elem_id]
    parts = [f"block_weight_{part}" for part in (
        "explained", "presets_fold", "elements_fold", "plot", "analysis", "bake")]
    assert [name for name in order if name in parts] == parts


def test_a_page_that_nobody_sees_gets_the_same_first_values_and_nothing_else(app: App) -> None:
    """A WebUI's API builds the script's panel once more on an empty page to read them."""
    whole, values = BlockWeightPanel(app.host, "txt2img"), BlockWeightPanel(app.host, "txt2img")
    with gr.Blocks():
        whole.lay_out(gr.Textbox())
    with gr.Blocks() as empty:
        values.lay_out_values()
    assert [one.value for one in values.script.components] == [one.value for one in whole.script.components]
    assert [type(one) for one in values.script.components] == [type(one) for one in whole.script.components]
    assert len(empty.blocks) < 50
