"""Baking as a person does it: choose one of the prompt's tags, press the button, use the file."""
from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Site
from tests.browser.page import Page

pytestmark = pytest.mark.browser

LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def test_a_tag_of_the_prompt_becomes_a_file(page: Page, site: Site) -> None:
    folder = site.folder / "loras"
    folder.mkdir(exist_ok=True)
    for name in ("first", "second"):
        tensors = {f"{LAYER}.lora_down.weight": torch.ones(1, 64, 1, 1),
                   f"{LAYER}.lora_up.weight": torch.ones(64, 1, 1, 1)}
        save_file(tensors, folder / f"{name}.safetensors", {"ss_base_model_version": "sd_v1"})
    page.tab("tab_txt2img")
    page.put("txt2img_prompt", "1girl <lora:first:1> <lora:second:0.5:lbw=ALL,MID@0.5>")
    page.unfold("block_weight_panel")
    page.unfold("block_weight_bake")
    page.click("#block_weight_bake_tag input")
    page.until("the prompt's tags", lambda: "second" in page.text("#block_weight_bake_tag"))
    page.see("#block_weight_bake_tag input").send_keys("<lora:second:0.5:lbw=ALL,MID@0.5>", Keys.ENTER)
    page.press("block_weight_bake_button")
    page.until("the result", lambda: "<lora:second-" in page.text("#block_weight_bake_state"))
    (made,) = folder.glob("second-*.safetensors")
    assert float(load_file(made)[f"{LAYER}.lora_up.weight"][0]) == 0.25
    page.press("block_weight_bake_button")
    page.until("the refusal", lambda: "never overwritten" in page.text("#block_weight_bake_state"))
