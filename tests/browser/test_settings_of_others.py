"""Settings of other programs in the tab: pasted, dropped, taken from a LoRA, and written back."""
from __future__ import annotations

import base64
from pathlib import Path

import pytest
import torch
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lib_trainer.lora import file
from tests.browser.conftest import Site
from tests.browser.page import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMMAND = ("accelerate launch train_network.py --output_name hina --network_dim 24 --lr_warmup_steps 100 "
           "--vae a.pt --lowram --learning_rate 1e-4")


def test_a_command_fills_the_form_and_says_what_became_of_it(page: Page) -> None:
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_settings")
    page.put("train_lora_import_text", COMMAND)
    page.press("train_lora_import")
    told = page.until("what became of it", lambda: page.text("#train_lora_import_told"))
    page.until("the filled form", lambda: [page.value(f"train_lora_{name}") for name in ("rank", "name", "alpha")] == [
        "24", "hina", "1"])
    assert "Read as: Command line." in told
    assert "lr_scheduler = constant with lr_warmup_steps = 100" in told  # it contradicts itself
    assert "vae = 'a.pt'" in told and "Not supported (1)" in told
    assert "Defaults of sd-scripts that were taken" in told
    heads = page.texts("#train_lora_import_told details:not([open]) summary")
    assert [head.partition(" (")[0] for head in heads] == ["Defaults of sd-scripts that were taken",
                                                           "Means nothing here"]


def test_the_form_is_written_for_another_program(page: Page) -> None:
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_settings")
    page.put("train_lora_import_text", COMMAND.replace(" --lr_warmup_steps 100", " --seed 5"))
    page.press("train_lora_import")
    page.until("the filled form", lambda: page.value("train_lora_seed") == "5")
    page.press("train_lora_export")
    text = page.see("#train_lora_exported pre").text
    assert "network_module" in text
    link = page.see("#train_lora_exported a")
    assert str(link.get_attribute("download")).endswith(".toml")
    content = base64.b64decode(str(link.get_attribute("href")).partition("base64,")[2]).decode("utf8")
    assert content.split() == text.split()


def test_a_dropped_file_and_a_lora(page: Page, site: Site, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('output_name = "dropped"\nnetwork_dim = 5\n', "utf8")
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_settings")
    page.driver.find_element(By.CSS_SELECTOR, "#train_lora_import_file input[type=file]").send_keys(str(path))
    page.until("the dropped settings", lambda: (page.value("train_lora_rank"), page.value("train_lora_name")) == (
        "5", "dropped"))
    file.save(site.folder / "loras" / "old.safetensors", {"a.alpha": torch.tensor(1.0)}, {
        "ss_network_dim": "7", "ss_sd_model_name": "some.safetensors", "ss_max_train_steps": "5"})
    page.open()  # the list is that of the page's start
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_settings")
    name = page.value("train_lora_name")
    page.put("train_lora_import_lora", "old").send_keys(Keys.ENTER)
    page.until("the LoRA's settings", lambda: page.value("train_lora_rank") == "7")
    assert page.value("train_lora_name") == name  # a record has no say in it
    assert page.complaints() == []
