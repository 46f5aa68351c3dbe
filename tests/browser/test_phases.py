"""A training of several parts on the page: its steps, scores, previews of each part; also after a reload."""
from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from lib_trainer.ui.page import DEMO
from tests.browser.conftest import Site
from tests.browser.page import Page

pytestmark = pytest.mark.browser

PAIRS = DEMO / "dataset" / "zunko" / "pairs"


def start(site: Site, **settings: Any) -> None:
    """Starts a training as a program would, by the address of the API."""
    request = urllib.request.Request(
        f"{site.url.rstrip('/')}/lora-trainer/v1/start", json.dumps(settings).encode("utf8"),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["running"]


def texts(page: Page, selector: str) -> list[str]:
    return [found.text for found in page.driver.find_elements(By.CSS_SELECTOR, selector)]


def test_parts_are_seen_as_steps(page: Page, site: Site) -> None:
    start(site, name="eyes", method="difference", images=str(PAIRS), before_suffix="_open", after_suffix="_closed",
          repeats=1, batch_size=4, epochs=2, rank=2, train_text_encoder=False, blocks="OUT09-OUT11", preview_steps=1,
          preview_cfg=1, copier_seeds="1", copier_score=0.99)
    for _ in range(2):
        page.open()
        page.tab("tab_train_lora")
        page.see("#train_lora_run[data-state=finished]")
        assert page.text("#train_lora_run .tl-part") == "3 of 3: After minus before"
        steps = texts(page, ".tl-steps .tl-step-done")
        assert len(steps) == 3 and steps[0].startswith("Copier of the pictures before copy score")
        assert "eyes.safetensors" in page.text("#train_lora_run .tl-phases .tl-note")  # the sentence of the subtraction
        assert page.text("#train_lora_tag") == "<lora:eyes:1>"
        assert texts(page, ".tl-previews summary") == [
            "Previews: Copier of the pictures after", "Previews: Copier of the pictures before"]
        assert len(page.driver.find_elements(By.CSS_SELECTOR, ".tl-previews img")) == 2 * 3 * 4
    assert page.complaints() == []


def test_scores_are_drawn_while_a_copier_learns(page: Page, site: Site) -> None:
    start(site, name="more", method="difference", images=str(PAIRS), before_suffix="_open", after_suffix="_closed",
          repeats=1, batch_size=1, epochs=200, rank=2, train_text_encoder=False, blocks="OUT09-OUT11", preview_steps=1,
          preview_cfg=1, copier_seeds="1", copier_score=0.99, copier_every_steps=1)
    page.open()
    page.tab("tab_train_lora")
    page.see(".tl-steps .tl-step-running")
    page.until("two scores", lambda: len(page.driver.find_elements(By.CSS_SELECTOR, ".tl-scores circle")) >= 2)
    assert page.driver.find_elements(By.CSS_SELECTOR, ".tl-scores .tl-threshold")
    page.see("#train_lora_stop").click()
    page.see("#train_lora_run[data-state=finished]")
    assert any("goes on from here" in text for text in texts(page, ".tl-warnings .tl-note"))
    for _ in range(2):
        page.until("the offer", lambda: "0 / 3" in page.text("#train_lora_offer"))
        assert page.see("#train_lora_go_on").is_enabled()
        page.open()
        page.tab("tab_train_lora")
    assert page.complaints() == []
