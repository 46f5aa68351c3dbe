"""The chosen method decides what is on the page, whoever chooses it: a goal, the fold, settings that are restored."""
from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By

from tests.browser.page import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def shown(page: Page, *names: str) -> list[bool]:
    """Returns which elements are seen, by element id without our prefix."""
    return [page.driver.find_element(By.ID, f"train_lora_{name}").is_displayed() for name in names]


def choose(page: Page, name: str, value: str) -> None:
    """Chooses a value of a list, as a person does: by typing it."""
    box = page.put(name, value)
    box.send_keys("\n")


def test_a_goal_without_pictures_asks_for_prompts_alone(page: Page) -> None:
    page.tab("tab_train_lora")
    assert "needs a folder" in page.see("#train_lora_needs").text
    assert shown(page, "images", "drop", "concepts") == [True, True, False]
    choose(page, "train_lora_goal", "Demo checkpoint, prompts")
    page.until("the line of the method", lambda: "needs no pictures" in page.text("#train_lora_needs"))
    assert shown(page, "images", "drop", "concepts") == [False, False, True]
    page.until("the card", lambda: "What is learned" in page.text("#train_lora_dataset"))
    page.unfold("train_lora_group_method")
    page.see("#train_lora_denoising_steps")
    assert shown(page, "group_prompts", "group_pairs", "group_copiers", "group_rounds") == [True, False, False, False]
    page.open()  # restored settings choose the method, too
    page.tab("tab_train_lora")
    page.until("the line after a reload", lambda: "needs no pictures" in page.text("#train_lora_needs"))
    choose(page, "train_lora_goal", "Character")
    page.until("the line of pictures", lambda: "needs a folder" in page.text("#train_lora_needs"))
    assert shown(page, "images", "concepts") == [True, False]
    assert not page.complaints()
