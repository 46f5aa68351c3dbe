"""The workbench as a person uses it: a difference by clicks, all faults at once, and Cancel that leaves nothing."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Site
from tests.browser.page import Page
from tests.workbench import stored

pytestmark = pytest.mark.browser

LAYER = "lora_unet_mid_block_attentions_0_proj_in"
TASK = "#lora_workbench_task"


def write(folder: Path, name: str, value: float) -> None:
    up = torch.full((64, 1, 1, 1), value)
    stored.write(folder / f"{name}.safetensors", {
        f"{LAYER}.lora_down.weight": torch.ones(1, 64, 1, 1), f"{LAYER}.lora_up.weight": up})


def put(page: Page, name: str, text: str) -> None:
    box = page.see(f"#lora_workbench_{name}")
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(text or Keys.DELETE)
    page.until(f"{text!r} in {name}", lambda: page.see(f"#lora_workbench_{name}").get_attribute("value") == text)


@pytest.fixture
def bench(page: Page, site: Site) -> Page:
    """The page with the workbench in sight and two LoRAs to choose."""
    folder = site.folder / "loras"
    folder.mkdir(exist_ok=True)
    if not (folder / "closed.safetensors").exists():
        write(folder, "closed", 3.0)
        write(folder, "open", 1.0)
    page.tab("tab_lora_workbench")
    page.see("#lora_workbench_start")
    return page


def test_a_difference_by_clicks(bench: Page, site: Site) -> None:
    options = "#lora_workbench_list_loras option"
    names = [one.get_attribute("value") for one in bench.driver.find_elements(By.CSS_SELECTOR, options)]
    assert {"closed", "open"} <= set(names)
    put(bench, "lora_0", "closed")
    put(bench, "lora_1", "open")
    put(bench, "out", "eyes")
    bench.press("lora_workbench_difference")
    bench.press("lora_workbench_start")
    bench.until("the tag of the new LoRA", lambda: "<lora:eyes:1>" in bench.text("#lora_workbench_made"))
    assert bench.text("#lora_workbench_table td") == "M00"
    made = load_file(site.folder / "loras" / "eyes.safetensors")
    up, down = (made[f"{LAYER}.lora_{part}.weight"].flatten(1) for part in ("up", "down"))
    assert torch.allclose(up @ down * made[f"{LAYER}.alpha"] / len(down), torch.full((64, 64), 2.0), atol=1e-5)
    bench.click("#lora_workbench_made button")
    bench.until("the tag in the prompt", lambda: "<lora:eyes:1>" in bench.value("txt2img_prompt"))
    assert bench.complaints() == []


def test_all_faults_at_once_and_a_page_that_is_reloaded(bench: Page) -> None:
    put(bench, "lora_0", "nobody")
    put(bench, "lora_1", "open")
    put(bench, "strength_1", "")
    put(bench, "out", "a/b")
    bench.press("lora_workbench_start")
    told = bench.until("the faults", lambda: bench.texts("#lora_workbench_problems .tl-error"))
    assert len(told) == 3 and "there is no LoRA 'nobody'" in told[0] and "number 2: Strength" in told[1]
    assert "must not contain /" in told[2]
    bench.press("lora_workbench_tab_inspect")
    put(bench, "file", "open")
    bench.press("lora_workbench_start")
    bench.until("what the file holds", lambda: "open.safetensors" in bench.text(TASK))
    bench.open()
    bench.tab("tab_lora_workbench")
    bench.press("lora_workbench_tab_inspect")
    bench.until("the outcome again", lambda: "open.safetensors" in bench.text(TASK))


def test_cancel_leaves_nothing(bench: Page, site: Site) -> None:
    folder = site.folder / "loras"
    # Whole matrices, so that every layer takes long: the operation ends when Cancel is pressed.
    change = torch.randn(1024, 1024, generator=torch.Generator().manual_seed(0)).half()
    stored.write(folder / "big.safetensors", {
        f"{layer}.diff": change.clone() for layer in list(stored.layers("sd1", whole=False))[:40]})
    before = sorted(folder.iterdir())
    bench.press("lora_workbench_tab_merge")
    bench.press("lora_workbench_add")
    bench.see("#lora_workbench_lora_2")
    put(bench, "lora_0", "big")
    bench.see("#lora_workbench_reduction option[value=svd]").click()
    put(bench, "rank", "8")
    put(bench, "out", "sum")
    bench.press("lora_workbench_start")
    cancel = bench.see("#lora_workbench_cancel")
    told = bench.text(".tl-wb-progress")
    bench.until("the next layers", lambda: bench.text(".tl-wb-progress") != told)
    assert cancel.is_enabled(), "a button that is made anew under the pointer would lose its press"
    bench.press("lora_workbench_cancel")
    bench.until("the end", lambda: "Cancelled; nothing half done is left." in bench.text(TASK))
    assert sorted(folder.iterdir()) == before
    bench.see("#lora_workbench_start:enabled")
