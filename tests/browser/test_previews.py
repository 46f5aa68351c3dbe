"""Previews on the page: what txt2img is set to becomes a line of them; the contact sheet and the rates that act."""
from __future__ import annotations

import pytest

from tests.browser.page import Page
from tests.browser.test_loop import begin

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROMPT = "zunko, 1girl"


def test_previews_from_txt2img_to_the_sheet(page: Page) -> None:
    page.open()
    page.tab("tab_txt2img")
    page.put("txt2img_prompt", PROMPT)
    page.put("txt2img_steps", "2")
    page.put("txt2img_seed", "7")
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_previews")
    page.put("train_lora_preview_prompts", "")
    page.press("train_lora_from_txt2img")
    line = page.until("the line", lambda: page.value("train_lora_preview_prompts"))
    assert line.startswith(PROMPT) and " --s 2" in line and " --d 7" in line and " --ss " in line and " --w " in line
    page.put("train_lora_preview_every_steps", "2")
    page.put("train_lora_preview_random_seeds", "1")
    begin(page, "sheet", steps="4", epochs="0", learning_rate="1e-4")
    page.see("#train_lora_run[data-state=finished]")
    rows = page.driver.execute_script("""
        return [...document.querySelectorAll('#train_lora_run .tl-sheet-row')].map((row) => [
            row.querySelector('small').textContent, ...[...row.querySelectorAll('a')].map((cell) => cell.textContent)]);
    """)
    assert [row[0] for row in rows] == ["step 4", "step 2"]
    assert all(row[1] == "seed 7" and row[2].startswith("random seed ") for row in rows)
    assert rows[0][2] != rows[1][2]
    lines = page.driver.execute_script(
        "return [...document.querySelectorAll('#train_lora_run .tl-rate title')].map((title) => title.textContent)")
    assert lines == ["U-Net rate"], "the demo's schedule falls, and its text encoder does not learn"
    assert page.complaints() == []
