"""The LoRA Workbench by clicking in the page of a real host: every form, a merge, its tag in the prompt, a refusal."""
from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By

from tests.hosts import lora_kinds
from tests.hosts.real.model_state import PROMPT
from tests.hosts.real.page import HostPage
from tests.hosts.real.pixels import close, differ
from tests.hosts.real.server import Server

FORMS = ("merge", "into_checkpoint", "resize", "extract", "bake", "convert", "prune", "metadata", "inspect")


@pytest.fixture(scope="module", autouse=True)
def loras(host: Server) -> None:
    """Two random LoRAs for the host's checkpoint."""
    checkpoint = host.program.models / host.program.checkpoints()[0]
    for seed, kind in enumerate(("locon", "loha"), start=1):
        lora_kinds.write(kind, checkpoint, host.loras / f"c_{kind}.safetensors", seed)


def test_the_workbench_by_clicking(page: HostPage, host: Server) -> None:
    page.tab("tab_lora_workbench")
    for name in FORMS:
        page.press(f"lora_workbench_tab_{name}")
        page.see("#lora_workbench_form .tl-wb-summary")
        page.see("#lora_workbench_start")

    page.press("lora_workbench_tab_merge")
    page.press("lora_workbench_start")
    page.until("what is missing", lambda: "is empty" in page.text("#lora_workbench_problems"))
    for place, (lora, strength) in enumerate((("c_locon", "0.5"), ("c_loha", "-0.4"))):
        _type(page, f"lora_{place}", lora)
        _type(page, f"strength_{place}", strength)
    _type(page, "out", "clicked sum")
    page.press("lora_workbench_start")
    page.until("the new LoRA", lambda: "<lora:clicked sum:1>" in page.text("#lora_workbench_made"))
    assert (host.loras / "clicked sum.safetensors").is_file()
    assert page.driver.find_elements(By.CSS_SELECTOR, "#lora_workbench_task table tbody tr")

    drawn, expected = (host.draw(f"{PROMPT}{tags}") for tags in (
        "<lora:clicked sum:1>", "<lora:c_locon:0.5><lora:c_loha:-0.4>"))
    assert differ(drawn, host.draw(PROMPT)) and close(drawn, expected)

    page.click("#lora_workbench_made button")
    page.until("the tag in the prompt", lambda: "<lora:clicked sum:1>" in page.value("txt2img_prompt"))
    page.tab("tab_lora_workbench")
    page.press("lora_workbench_start")
    page.until("the refusal", lambda: "clicked sum" in page.text("#lora_workbench_problems"))
    page.press("lora_workbench_tab_inspect")
    _type(page, "file", "clicked sum")
    page.press("lora_workbench_start")
    page.until("what it holds", lambda: "Inspect" in page.text("#lora_workbench_task[data-state=done] h3"))
    complaints = [line for line in page.complaints() if "train_lora" in line or "lora-trainer" in line]
    assert complaints == []


def _type(page: HostPage, name: str, text: str) -> None:
    box = page.see(f"#lora_workbench_{name}")
    box.clear()
    box.send_keys(text)
