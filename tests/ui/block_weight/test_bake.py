"""Baking from the page: a tag of the prompt becomes a file in the LoRA folder."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
import torch

from lib_trainer.bootstrap import App
from lib_trainer.lora import file as lora_file
from lib_trainer.txt2img_host import GenerateRequest
from lib_trainer.ui.block_weight.bake import BakePanel
from tests.hosts import lora_kinds

LAYERS = ("lora_unet_up_blocks_1_attentions_0_proj_in", "lora_unet_down_blocks_0_attentions_0_proj_in",
          "lora_te_text_model_encoder_layers_0_mlp_fc1")


@pytest.fixture
def panel(app: App) -> Iterator[BakePanel]:
    tensors = {}
    for layer in LAYERS:
        tensors |= {f"{layer}.lora_down.weight": torch.ones(1, 4), f"{layer}.lora_up.weight": torch.ones(4, 1),
                    f"{layer}.alpha": torch.tensor(1.0)}
    lora_file.save(app.host.paths.loras / "zko.safetensors", tensors, {})
    panel = BakePanel(app.host, "block_weight")
    with gr.Blocks():
        panel.lay_out(gr.Textbox())
    yield panel


def made(app: App) -> set[str]:
    return {path.stem for path in app.host.paths.loras.glob("*.safetensors")}


def test_the_prompts_tags_can_be_chosen(panel: BakePanel) -> None:
    update = panel.on_look("<lora:b:1>", "1girl <lora:a:1> <hypernet:c:1> <lora:b:1>")
    assert (update["choices"], update["value"]) == (["<lora:a:1>", "<lora:b:1>"], "<lora:b:1>")


def test_the_prompts_first_lora_is_baked_by_default(app: App, panel: BakePanel) -> None:
    told = panel.on_bake(None, "", 0, "1girl <hypernet:x:1> <lora:zko:0.5:NCNF>")
    assert "&lt;lora:zko-0.5_NCNF:1&gt;" in told and "2 layers (2 scaled); 1 at 0 left out" in told
    assert made(app) == {"zko", "zko-0.5_NCNF"}
    baked = lora_file.load(app.host.paths.loras / "zko-0.5_NCNF.safetensors")
    assert torch.equal(baked.tensors[f"{LAYERS[1]}.lora_up.weight"], torch.full((4, 1), 0.5))
    again = panel.on_bake("<lora:zko:0.5:NCNF>", "", 0, "")
    assert "never overwritten" in again


def test_a_name_of_ones_own(app: App, panel: BakePanel) -> None:
    assert "&lt;lora:half:1&gt;" in panel.on_bake("zko:0.5:start=2", "half", 0, "")
    assert "start, stop" in panel.on_bake("zko:0.5:start=2", "half2", 0, "")
    assert made(app) == {"zko", "half", "half2"}


@pytest.mark.parametrize(("tag", "name", "prompt", "sentence"), [
    ("", "", "1girl", "The prompt has no LoRA tag"),
    ("<hypernet:x:1>", "", "", "is no LoRA tag"),
    ("<lora:none:1>", "", "", "There is no LoRA &#x27;none&#x27;"),
    ("<lora:zko:1:NCNG>", "", "", "did you mean &#x27;NCNF&#x27;"),
    ("<lora:zko:0.5>", "a/b", "", "must not contain /"),
    ("<lora:zko:0>", "", "", "leave nothing of the LoRA"),
])
def test_mistakes_are_told(app: App, panel: BakePanel, tag: str, name: str, prompt: str, sentence: str) -> None:
    assert sentence in panel.on_bake(tag, name, 0, prompt)
    assert made(app) == {"zko"}


def test_dora_is_baked_with_the_loaded_checkpoint(app: App, panel: BakePanel, checkpoint: Path) -> None:
    lora_kinds.write("dora", checkpoint, app.host.paths.loras / "dora.safetensors")
    told = panel.on_bake("<lora:dora:0.5>", "plain", 0, "")
    assert "as full differences" in told and "base checkpoint" in told
    pictures = [app.host.generate(GenerateRequest(prompt, seed=1, steps=1, width=64, height=64))[0].image.tobytes()
                for prompt in ("a <lora:dora:0.5>", "a <lora:plain:1>", "a")]
    # The file has half precision: 2^-11 of each entry of the changed weights, two levels of 255 in the picture.
    assert max(abs(a - b) for a, b in zip(pictures[0], pictures[1], strict=True)) <= 2
    assert pictures[0] != pictures[2]
