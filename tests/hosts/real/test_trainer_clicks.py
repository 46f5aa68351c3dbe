"""What the tab can do beside the loop, by clicking in the page of a real host."""
from __future__ import annotations

import shutil
from pathlib import Path

from selenium.webdriver.common.by import By

from tests.hosts.real.page import HostPage
from tests.hosts.real.server import Server

COMMAND = ("accelerate launch train_network.py --network_module networks.lora --network_dim 6 --network_alpha 3 "
           "--network_train_unet_only --learning_rate 1e-3 --max_train_steps 6 --resolution 64 --dataset_repeats 1 "
           "--validation_split 0.34 --validate_every_n_steps 2 --sample_at_first --sample_every_n_steps 3")


def test_a_command_the_buckets_and_the_queue_by_clicking(
    page: HostPage, host: Server, pictures: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(pictures, tmp_path / "own")
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_settings")
    page.put("train_lora_import_text", COMMAND)
    page.press("train_lora_import")
    page.until("the filled form", lambda: page.value("train_lora_rank") == "6")
    told = page.text("#train_lora_import_told")
    assert "Read as: Command line." in told

    page.put("train_lora_images", str(own))
    page.put("train_lora_name", "queued one")
    page.unfold("train_lora_group_previews")
    page.put("train_lora_preview_prompts", "1girl --w 64 --h 64 --s 2 --d 7")
    page.until("the card", lambda: "3" in page.text("#train_lora_dataset"))
    page.unfold("train_lora_bucket_report")
    page.press("train_lora_buckets_show")
    page.until("the report", lambda: len(page.driver.find_elements(
        By.CSS_SELECTOR, "#train_lora_buckets_shown .tl-crops img")) == 3)

    for name in ("queued one", "queued two"):
        page.put("train_lora_name", name)
        page.press("train_lora_enqueue")
        page.until(f"{name} in the queue", lambda name=name: name in page.text("#train_lora_queue"))
    page.press("train_lora_queue_start")
    page.until("both files", lambda: all((host.loras / f"queued {number}.safetensors").is_file()
                                         for number in ("one", "two")))
    page.see("#train_lora_run[data-state=finished]")
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".tl-heldout circle")) >= 3
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#train_lora_run .tl-sheet-row")) == 3
    page.disclose(".tl-losses summary")
    page.until("the pictures' losses", lambda: len(page.driver.find_elements(
        By.CSS_SELECTOR, ".tl-losses tbody tr")) == 2)
    complaints = [line for line in page.complaints() if "train_lora" in line or "lora-trainer" in line]
    assert complaints == []
