"""The losses of a run on the page: validation, bars by timestep, the list of pictures; also after a reload."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lib_trainer.ui.page import DEMO
from tests.browser.conftest import Site
from tests.browser.page import Page
from tests.browser.test_loop import begin

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pictures(site: Site) -> Path:
    """Six of the demo's pictures."""
    folder = site.folder / "six"
    folder.mkdir()
    for path in sorted((DEMO / "dataset" / "zunko" / "reg" / "1_1girl").glob("*.png"))[:6]:
        shutil.copy(path, folder)
        shutil.copy(path.with_suffix(".txt"), folder)
    return folder


def losses(page: Page) -> list[float]:
    return [float(text) for text in page.texts(".tl-losses td:nth-child(3)")]


def open_list(page: Page) -> None:
    page.disclose(".tl-losses summary")
    page.until("five pictures", lambda: page.count(".tl-losses tbody tr") == 5)


LOSE_ONE_REQUEST = """
const real = window.fetch;
window.fetch = (address, ...rest) => {
    if (!String(address).includes("/losses?")) return real(address, ...rest);
    window.fetch = real;
    return Promise.reject(new TypeError("the network is gone for a moment"));
};
"""
HEIGHT_WHILE_ASKED = """
const text = document.querySelector("#train_lora_checkpoint .prose"), before = text.offsetHeight;
text.classList.add("min"); // as gradio marks what it is asking for anew
const during = text.offsetHeight;
text.classList.remove("min");
return [before, during];
"""


def test_what_stands_out_is_seen(page: Page, pictures: Path) -> None:
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_validation")
    page.put("train_lora_validation_split", "0.2")
    begin(page, "losses", images=str(pictures), steps="6", epochs="0")
    page.see("#train_lora_run[data-state=finished]")
    page.until("no word of a beginning", lambda: not page.text("#train_lora_problems"))
    for _ in range(2):
        assert page.count(".tl-heldout circle") >= 2
        assert page.count(".tl-bands rect title")
        open_list(page)
        assert losses(page) == sorted(losses(page), reverse=True)
        page.until("a thumbnail", lambda: page.driver.execute_script(
            "return document.querySelector('.tl-losses img').naturalWidth"))
        page.open()
        page.tab("tab_train_lora")
        page.see("#train_lora_run[data-state=finished]")
    page.driver.execute_script(LOSE_ONE_REQUEST)
    open_list(page)  # which asks again
    page.click(".tl-losses th:nth-child(3) button")
    page.until("the lowest first", lambda: losses(page) == sorted(losses(page)))
    before, during = page.driver.execute_script(HEIGHT_WHILE_ASKED)
    assert before == during > 0, "a look at the form moves nothing under the pointer"
    assert page.complaints() == []
