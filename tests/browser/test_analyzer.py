"""The analyzer in a real browser: cost, quick analysis, the proposal into the prompt and among the presets."""
from __future__ import annotations

import pytest
from safetensors.torch import save_file

from lib_trainer.bootstrap import DEMO_CHECKPOINT
from tests.browser.conftest import Site
from tests.browser.page import Page
from tests.hosts import lora_kinds

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PART = "block_weight_analyzer"


def test_from_cost_to_preset(page: Page, site: Site) -> None:
    folder = site.folder / "loras"
    folder.mkdir(exist_ok=True)
    save_file(lora_kinds.state("lora", DEMO_CHECKPOINT, 1), folder / "known.safetensors")
    page.put("txt2img_prompt", "1girl <lora:known:0.5>")
    page.unfold("block_weight_panel")
    page.unfold("block_weight_analysis")
    page.press(f"{PART}_estimate")
    page.until("the cost", lambda: " x " in page.text(f"#{PART}_state"))
    assert "predictions" in page.text(f"#{PART}_state")
    page.press(f"{PART}_analyze")
    page.until("the results", lambda: "measured together" in page.text(f"#{PART}_results"))
    assert page.count(f"#{PART}_results svg.tl-heat g")
    weights = page.until("the proposal", lambda: page.value(f"{PART}_weights"))
    assert weights.count(",") in (16, 25)
    page.press(f"{PART}_use")
    page.until("the tag", lambda: page.value("txt2img_prompt") == f"1girl <lora:known:0.5:lbw={weights}>")
    page.put(f"{PART}_name", "FOUND")
    page.press(f"{PART}_keep_preset")
    page.until("the preset", lambda: "Kept among the presets." in page.text(f"#{PART}_kept"))
    assert f"FOUND:{weights}" in (site.folder / "outputs" / "settings" / "lbwpresets.txt").read_text(encoding="utf8")
    assert page.complaints() == []
