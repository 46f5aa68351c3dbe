"""The lists of presets and rules in a real browser: rows chosen by click and key, changes there after a reload."""
from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.conftest import Site
from tests.browser.page import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ONES = ",".join("1" * 17)
PRESETS = "block_weight_presets"


def _rows(page: Page, part: str = PRESETS) -> dict[str, WebElement]:
    return {row.find_element(By.TAG_NAME, "code").text: row
            for row in page.driver.find_elements(By.CSS_SELECTOR, f"#{part}_table tr[data-key]")}


def _open(page: Page, part: str = PRESETS) -> None:
    page.unfold("block_weight_panel")
    page.unfold(f"{part}_fold")
    page.until("the list", lambda: _rows(page, part))
    page.until("the file as it is now", lambda: page.driver.find_elements(By.CSS_SELECTOR, f"#{part}_json b"))


def _row(page: Page, name: str, part: str = PRESETS) -> WebElement:
    return page.until(f"the row of {name}", lambda: _rows(page, part).get(name))


def test_a_preset_is_chosen_changed_and_there_after_a_reload(page: Page, site: Site) -> None:
    _open(page)
    page.click(lambda: _row(page, "NCNF"), "NCNF")
    page.until("the form", lambda: [page.value(f"{PRESETS}_{part}") for part in ("name", "body")] == [
        "NCNF", "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"])
    page.put(f"{PRESETS}_name", "MINE")
    page.put(f"{PRESETS}_hint", "for the browser")
    page.press(f"{PRESETS}_add")
    page.until("the new row", lambda: "MINE" in _rows(page))
    text = (site.folder / "outputs" / "settings" / "lbwpresets.txt").read_text(encoding="utf8")
    assert text.endswith("# folklore: for the browser\nMINE:1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0\n")
    page.open()
    _open(page)
    page.until("the hint of MINE", lambda: "for the browser" in _row(page, "MINE").text)
    assert page.complaints() == []


def test_rows_are_reached_by_keys_and_the_list_stays_where_it_is(page: Page) -> None:
    _open(page)
    page.until("the keyboard on a row", lambda: page.driver.execute_script(
        "arguments[0].focus(); return document.activeElement === arguments[0]", _row(page, "FACE")))
    page.keys(Keys.ARROW_DOWN)
    page.until("the keyboard on the next row", lambda: page.focused("data-key") == '["F", "sd15"]')
    page.keys(Keys.ENTER)
    page.until("the form", lambda: page.value(f"{PRESETS}_name") == "F")
    page.until("the keyboard on the row", lambda: page.focused("aria-selected") == "true")
    assert page.driver.execute_script(f"return document.querySelector('#{PRESETS}_table .tl-scroll').scrollTop") > 0


def test_one_architecture_is_listed(page: Page) -> None:
    _open(page)
    page.click(f"#{PRESETS}_table button[data-show=sdxl]")
    page.until("SDXL alone", lambda: "NCNF" not in _rows(page) and "SDXL-ALL" in _rows(page))
    page.click(f"#{PRESETS}_table button[data-show='']")
    page.until("all", lambda: "NCNF" in _rows(page))


def test_a_pasted_file_is_imported(page: Page) -> None:
    _open(page)
    page.unfold(f"{PRESETS}_import")
    page.put(f"{PRESETS}_other", f"THEIRS:{ONES}")
    page.press(f"{PRESETS}_import_look")
    page.until("the report", lambda: "THEIRS" in page.text(f"#{PRESETS}_import_state"))
    assert "THEIRS" not in _rows(page)
    page.press(f"{PRESETS}_import_take")
    page.until("the new row", lambda: "THEIRS" in _rows(page))
    page.press(f"{PRESETS}_undo")
    page.until("the way back", lambda: "THEIRS" not in _rows(page))


def test_a_rule_is_added_and_the_prompt_explained(page: Page) -> None:
    part = "block_weight_elements"
    _open(page, part)
    page.put(f"{part}_name", "SOFT")
    page.put(f"{part}_body", "IN05-OUT05:attn:0.5")
    page.press(f"{part}_add")
    page.until("the new row", lambda: "SOFT" in _rows(page, part))
    page.put("txt2img_prompt", "<lora:none:1:lbwe=SOFT>")
    page.until("the explanation", lambda: "There is no LoRA" in page.text("#block_weight_explained"))
    assert "Unknown elemental rule" not in page.text("#block_weight_explained")
