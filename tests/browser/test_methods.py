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


def test_start_is_in_sight_whatever_a_method_asks_for(page: Page) -> None:
    """On a small screen, with all that decides about the training above it."""
    page.driver.set_window_size(1280, 720)
    try:
        page.tab("tab_train_lora")
        for goal, needs in (("Demo checkpoint, pairs", "two pictures or more"),
                            ("Demo checkpoint, prompts", "no pictures"), ("Demo checkpoint", "a folder")):
            choose(page, "train_lora_goal", goal)
            page.until(goal, lambda said=needs: f"needs {said}" in page.text("#train_lora_needs"))  # type: ignore[misc]
            page.driver.execute_script("window.scrollTo(0, 0)")
            for name in ("generate", "name", "goal", "base_model", "needs"):
                low, high = page.driver.execute_script(
                    "const box = document.getElementById(arguments[0]).getBoundingClientRect();"
                    "return [box.bottom, window.innerHeight]", f"train_lora_{name}")
                assert low <= high, (goal, name)
    finally:
        page.driver.set_window_size(1280, 1200)


def test_a_goal_without_pictures_asks_for_prompts_alone(page: Page) -> None:
    page.tab("tab_train_lora")
    page.until("the line of the method", lambda: "needs a folder" in page.text("#train_lora_needs"))
    assert shown(page, "images", "drop", "concepts") == [True, True, False]
    choose(page, "train_lora_goal", "Demo checkpoint, prompts")
    page.until("the line of the method", lambda: "needs no pictures" in page.text("#train_lora_needs"))
    page.until("the box of prompts", lambda: shown(page, "images", "drop", "concepts") == [False, False, True])
    page.until("the card", lambda: "What is learned" in page.text("#train_lora_dataset"))
    page.unfold("train_lora_group_method")
    page.see("#train_lora_denoising_steps")
    folds = ("group_prompts", "group_pairs", "group_copiers", "group_rounds")
    page.until("the folds of the method", lambda: shown(page, *folds) == [True, False, False, False])
    page.open()  # restored settings choose the method, too
    page.tab("tab_train_lora")
    page.until("the line after a reload", lambda: "needs no pictures" in page.text("#train_lora_needs"))
    choose(page, "train_lora_goal", "Character")
    page.until("the line of pictures", lambda: "needs a folder" in page.text("#train_lora_needs"))
    page.until("the box of pictures", lambda: shown(page, "images", "concepts") == [True, False])
    assert not page.complaints()
