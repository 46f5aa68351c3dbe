"""The loop as a new user goes through it: train, draw meanwhile, reload, stop, "Send to txt2img", layer by layer."""
from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from lib_trainer.ui.page import DEMO
from tests.browser.conftest import Site, start_browser
from tests.browser.page import Page

pytestmark = pytest.mark.browser
DATASET = DEMO / "dataset" / "zunko" / "train"
PROMPT = "1girl, blue background"
LINE = re.compile(r"steps: \d+% (\d+)/(\d+) \[[\d:]+<[\d:]+, [\d.]+(it/s|s/it), loss=[\d.]+\]")


def begin(page: Page, name: str, **settings: str) -> None:
    """Fills the form and starts with Ctrl+Enter."""
    page.tab("tab_train_lora")
    page.put("train_lora_images", str(DATASET))
    page.unfold("train_lora_group_data")
    page.put("train_lora_reg_images", "")
    page.unfold("train_lora_group_steps_and_learning_rate")
    for setting, text in settings.items():
        page.put(f"train_lora_{setting}", text)
    page.ctrl_enter(page.put("train_lora_name", name))
    page.until(f"the training of {name}", lambda: page.run["name"] == name)  # a short one may have ended by then


def step(page: Page) -> int:
    """Waits for the progress line and returns the steps done."""
    line = page.until("the progress line", lambda: LINE.search(page.text("#train_lora_run .tl-line")))
    return int(line[1])


def test_the_loop(page: Page, site: Site) -> None:
    page.tab("tab_train_lora")
    page.unfold("train_lora_group_previews")
    page.put("train_lora_preview_prompts", PROMPT)
    page.put("train_lora_preview_every_steps", "4")
    page.put("train_lora_preview_steps", "2")
    # Longer than any machine takes to get through this test: the training ends when Stop is pressed.
    begin(page, "zunko-e2e", steps="100000", epochs="0", learning_rate="5e-3")
    card = page.until("the steps that follow", lambda: "100,000" in (text := page.text("#train_lora_dataset")) and text)
    assert "20 pictures" in card and "20 captions" in card and "regularisation" not in card
    first = step(page)

    page.tab("tab_txt2img")
    page.put("txt2img_steps", "4")
    page.put("txt2img_seed", "7")
    meanwhile = page.draw(PROMPT, keys=True)
    page.tab("tab_train_lora")
    page.until("steps after the picture", lambda: step(page) > first)
    assert page.run["running"]

    page.open()
    page.tab("tab_train_lora")
    reloaded = step(page)
    assert reloaded >= first and page.value("train_lora_name") == "zunko-e2e"
    assert page.run["points"][0]["x"] == 1, "the chart begins with the first step after a reload"
    page.see("#train_lora_run polyline.tl-average")
    page.until("a preview", lambda: page.driver.execute_script(
        "const i = document.querySelector('#train_lora_run .tl-gallery img'); return i && i.naturalWidth > 0"))
    page.press("train_lora_stop")
    page.see("#train_lora_run[data-state=finished]")
    assert (site.folder / "loras" / "zunko-e2e.safetensors").is_file()
    assert page.text("#train_lora_tag") == "<lora:zunko-e2e:1>"

    page.press("train_lora_to_prompt")
    page.until("the tag in the prompt", lambda: page.value("txt2img_prompt").endswith(", <lora:zunko-e2e:1>"))
    assert page.value("txt2img_prompt").startswith("zunko, "), "the trigger word goes along"
    page.put("txt2img_steps", "4")
    page.put("txt2img_seed", "7")
    drawn = {tag: page.draw(PROMPT + tag) for tag in (
        "", ", <lora:zunko-e2e:1>", ", <lora:zunko-e2e:0.8:NCNF>", ", <lora:zunko-e2e:0.8:OUTD>")}
    assert same(drawn[""], meanwhile), "a picture drawn while training is the one drawn afterwards"
    kinds = list(drawn.values())
    assert not any(same(a, b) for i, a in enumerate(kinds) for b in kinds[:i])

    page.open()
    page.tab("tab_train_lora")
    page.until("the presets", lambda: "NCNF" in page.text("#train_lora_preset"))
    page.press("train_lora_again")
    page.until("the tag with preset", lambda: page.value("txt2img_prompt").endswith("<lora:zunko-e2e:0.8:NCNF>"))
    page.put("txt2img_steps", "2")
    page.draw(f"{PROMPT}, <lora:zunko-e2e:1:NCNG>")
    assert "did you mean 'NCNF'" in page.text("#txt2img_comments")
    assert page.foreign() == []
    assert page.complaints() == []


def test_a_second_browser_sees_the_whole_run_and_has_its_buttons(page: Page, site: Site) -> None:
    begin(page, "second", steps="100000", epochs="0")
    step(page)
    driver = start_browser()
    try:
        other = Page(driver, site.url)
        other.open()
        other.tab("tab_train_lora")
        step(other)
        assert other.run["points"][0]["x"] == 1
        other.press("train_lora_pause")
        other.see("#train_lora_continue")
        page.see("#train_lora_continue")
        assert "Paused" in page.text("#train_lora_run .tl-message")
        page.press("train_lora_generate")
        page.until("the refusal", lambda: "'second' is being trained" in page.text("#train_lora_problems"))
        page.press("train_lora_continue")
        other.see("#train_lora_pause")
        other.agree("train_lora_discard")
        page.see("#train_lora_run[data-state=finished]")
    finally:
        driver.quit()
    assert list((site.folder / "loras").glob("second*")) == []
    assert page.count("#train_lora_tag") == 0


def test_faults_are_listed_under_the_start_button(page: Page) -> None:
    page.tab("tab_train_lora")
    page.put("train_lora_images", "/no/such/folder")
    page.unfold("train_lora_group_steps_and_learning_rate")
    page.put("train_lora_learning_rate", "abc")
    page.put("train_lora_name", "a<b>")
    page.press("train_lora_generate")
    shown = page.until("the faults", lambda: page.text("#train_lora_problems"))
    for part in ("/no/such/folder", "abc", "a<b>"):
        assert part in shown
    page.put("train_lora_learning_rate", "1e-4")


def test_dropped_pictures_become_the_picture_folder(page: Page, site: Site, tmp_path: Path) -> None:
    page.tab("tab_train_lora")
    page.put("train_lora_name", "dropped")
    Image.new("RGB", (64, 64), "green").save(tmp_path / "zko (1).png")
    (tmp_path / "zko (1).txt").write_text("zko", encoding="utf8")
    files = "\n".join(str(path) for path in sorted(tmp_path.iterdir()))
    page.driver.find_element("id", "train_lora_files").send_keys(files)
    folder = site.folder / "outputs" / "settings" / "datasets" / "dropped"
    page.until("the new folder in its box", lambda: page.value("train_lora_images") == str(folder))
    page.see("#train_lora_dataset .tl-thumbs img")
    page.driver.execute_script("""
        const transfer = new DataTransfer();
        transfer.items.add(new File([arguments[0]], "more.txt", { type: "text/plain" }));
        document.getElementById("train_lora_drop").dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));""", "caption")
    page.until("the dropped file", lambda: (folder / "more.txt").is_file())
    assert {path.name for path in folder.iterdir()} == {"zko (1).png", "zko (1).txt", "more.txt"}


def test_two_pictures_side_by_side_become_a_pair(page: Page, site: Site) -> None:
    page.tab("tab_train_lora")
    page.put("train_lora_name", "eyes")
    card = page.driver.find_element("id", "train_lora_pairs")
    assert not card.is_displayed(), "the card is there for methods that learn from pairs only"
    page.put("train_lora_method", "addift").send_keys(Keys.ENTER)
    page.see("#train_lora_pairs")
    page.press("train_lora_pair_add")
    assert "Choose both pictures first" in page.text("#train_lora_pair_state")
    sides = [DATASET.parent / "pairs" / f"01_{side}.png" for side in ("open", "closed")]
    for slot, picture in zip(card.find_elements("css selector", ".tl-slot input"), sides, strict=True):
        slot.send_keys(str(picture))
    page.until("both pictures side by side", lambda: all(
        image.is_displayed() for image in card.find_elements("css selector", ".tl-slot img")))
    page.see("#train_lora_pairs textarea").send_keys("1girl")
    page.press("train_lora_pair_add")
    folder = site.folder / "outputs" / "settings" / "datasets" / "eyes"
    page.until("the new folder in its box", lambda: page.value("train_lora_images") == str(folder))
    page.until("the pair on the card", lambda: len(page.driver.find_elements(
        "css selector", "#train_lora_dataset .tl-couple img")) == 2)
    assert {path.name for path in folder.iterdir()} == {"01_open.png", "01_open_after.png", "01_open.txt"}
    assert (folder / "01_open_after.png").read_bytes() == sides[1].read_bytes()
    page.until("free places", lambda: not any(
        image.is_displayed() for image in card.find_elements("css selector", ".tl-slot img")))
    page.put("train_lora_method", "lora").send_keys(Keys.ENTER)
    page.until("no card", lambda: not card.is_displayed())


def test_the_page_speaks_the_persons_language_and_fits_the_window(page: Page) -> None:
    page.open("?lang=ja&__theme=dark")
    for tab in ("tab_txt2img", "tab_train_lora"):
        page.tab(tab)
        width: int = page.driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= page.driver.execute_script("return window.innerWidth")
    page.until("the translated button", lambda: page.text("#train_lora_generate") == "開始")
    assert "画像フォルダ" in page.text("#train_lora_images")


def same(a: Image.Image, b: Image.Image) -> bool:
    """Whether two pictures are equal, pixel for pixel."""
    return a.size == b.size and a.tobytes() == b.tobytes()
