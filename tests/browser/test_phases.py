"""A training of several parts on the page: its steps, scores, previews of each part; also after a reload."""
from __future__ import annotations

import pytest

from lib_trainer.ui.page import DEMO
from tests.browser.conftest import Site
from tests.browser.page import Page

pytestmark = pytest.mark.browser

SETTINGS = {
    "method": "difference", "images": str(DEMO / "dataset" / "zunko" / "pairs"), "before_suffix": "_open",
    "after_suffix": "_closed", "repeats": 1, "batch_size": 1, "rank": 2, "train_text_encoder": False,
    "blocks": "OUT09-OUT11", "preview_steps": 1, "preview_cfg": 1, "copier_seeds": "1", "copier_score": 0.99,
}


def test_parts_are_seen_as_steps(page: Page, site: Site) -> None:
    drawn = {"slider_strengths": "-1, 1", "slider_seeds": "3", "slider_prompts": 1}
    assert site.ask("start", {**SETTINGS, "name": "eyes", "batch_size": 4, "epochs": 2, **drawn})["running"]
    for _ in range(2):
        page.open()
        page.tab("tab_train_lora")
        page.see("#train_lora_run[data-state=finished]")
        assert page.text("#train_lora_run .tl-part") == "4 of 4: Pictures of the result"
        steps = page.texts(".tl-steps .tl-step-done")
        assert len(steps) == 4 and steps[0].startswith("Copier of the pictures before copy score")
        assert "eyes.safetensors" in page.text("#train_lora_run .tl-phases .tl-note")  # the sentence of the subtraction
        assert page.text("#train_lora_tag") == "<lora:eyes:1>"
        assert page.texts(".tl-previews summary") == [
            "Previews: Copier of the pictures after", "Previews: Copier of the pictures before"]
        assert page.count(".tl-previews img") == 2 * 3 * 4
        assert page.texts(".tl-strip th") == ["-1", "+1", "seed 3"] and page.count(".tl-strip img") == 2
        assert page.count("#train_lora_run .tl-chart svg") == 1, "the chart of the last run stays in sight"
    assert page.complaints() == []


def test_scores_are_drawn_while_a_copier_learns(page: Page, site: Site) -> None:
    # Longer than any machine takes to look at two scores: the training ends when Stop is pressed.
    assert site.ask("start", {**SETTINGS, "name": "more", "epochs": 2000, "copier_every_steps": 1})["running"]
    page.open()
    page.tab("tab_train_lora")
    page.see(".tl-steps .tl-step-running")
    page.until("two scores", lambda: page.count(".tl-scores circle") >= 2)
    assert page.count(".tl-scores .tl-threshold")
    page.press("train_lora_stop")
    page.see("#train_lora_run[data-state=finished]")
    assert "goes on from here" in page.text("#train_lora_run .tl-message .tl-note")  # beside the bar
    for _ in range(2):
        page.until("the offer", lambda: "0 / 3" in page.text("#train_lora_offer"))
        page.see("#train_lora_go_on:enabled")
        page.open()
        page.tab("tab_train_lora")
    assert page.complaints() == []
