"""The block editor as a person uses it: sliders, keys, a finger, presets, undo, the pop-over on a tag, other themes."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from selenium import webdriver
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from lib_trainer.blocks.layouts import LAYOUTS
from tests.browser.conftest import Site
from tests.browser.page import Page

pytestmark = pytest.mark.browser

BLOCKS = {
    "M00": "mid_block_attentions_0", "OUT03": "up_blocks_1_attentions_0", "OUT06": "up_blocks_2_attentions_0",
    "IN01": "down_blocks_0_attentions_0",
}
ABSENT = "OUT09"
PANEL = "#block_weight_editor"
POPOVER = ".tl-be-popover"


@pytest.fixture(scope="module")
def lora(site: Site) -> str:
    """A LoRA of the page's folder with a layer in each of BLOCKS, the later the stronger; its name."""
    tensors = {}
    for place, module in enumerate(BLOCKS.values(), start=1):
        layer = f"lora_unet_{module}_proj_in"
        tensors |= {f"{layer}.lora_down.weight": torch.full((1, 64, 1, 1), float(place)),
                    f"{layer}.lora_up.weight": torch.ones(64, 1, 1, 1)}
    folder: Path = site.folder / "loras"
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "four.safetensors", {"ss_base_model_version": "sd_v1"})
    return "four"


@pytest.fixture
def editor(page: Page, lora: str) -> Page:
    """The page with a tag in its prompt and the panel's editor open on it."""
    return opened(page, f"1girl, <lora:{lora}:0.8:NCNF>")


def opened(page: Page, prompt: str) -> Page:
    page.tab("tab_txt2img")
    page.put("txt2img_prompt", prompt)
    page.unfold("block_weight_panel")
    page.see(f"{PANEL} .tl-be-cell")
    if "<lora" in prompt:
        page.until("the norms", lambda: share(page, "IN01") == "1.0000")
    return page


def slider(page: Page, block: str, root: str = PANEL) -> WebElement:
    return page.driver.find_element("css selector", f"{root} input[type=range][data-block={block}]")


def share(page: Page, block: str) -> str:
    """How long the bar of a block's norm is, as a part of the greatest."""
    return page.driver.execute_script(
        "return arguments[0].closest('.tl-be-cell').style.getPropertyValue('--tl-be-norm')", slider(page, block))


def choose(page: Page, kind: str, text: str) -> None:
    """Chooses from one of the editor's lists by its text; a list that is just made anew is looked at again."""

    def chosen() -> bool:
        for option in page.driver.find_elements("css selector", f"{PANEL} .tl-be-{kind} option"):
            if option.text.startswith(text):
                option.click()
                return True
        return False

    page.until(f"{text!r} among the {kind}s", chosen)


def press(page: Page, text: str, root: str = PANEL) -> None:
    def button() -> WebElement:
        found = page.driver.find_elements("css selector", f"{root} .tl-be-tools button")
        return page.until(f"the button {text!r}", lambda: next((one for one in found if one.text == text), None))

    page.click(button, text)


def tag_becomes(page: Page, tag: str) -> None:
    page.until(tag, lambda: tag in page.value("txt2img_prompt"))


def explained(page: Page, block: str) -> str:
    """The multiplier of a block in the panel's table of what the prompt does."""
    cells = page.driver.find_elements("css selector", f"#block_weight_explained i[title^='{block}:']")
    return (cells[0].get_attribute("title") or "").partition(": ")[2] if cells else ""


def test_there_is_a_slider_for_each_block_of_the_layout(editor: Page) -> None:
    def named() -> set[str]:
        found = editor.driver.find_elements("css selector", f"{PANEL} input[type=range]")
        return {one.get_attribute("data-block") or "" for one in found}

    assert named() == set(LAYOUTS[17])
    values = {block: slider(editor, block).get_attribute("value") for block in LAYOUTS[17]}
    assert [values[block] for block in ("IN01", "M00", "OUT03", "OUT06")] == ["1", "1", "0", "1"]
    for block in LAYOUTS[17]:
        assert slider(editor, block).is_enabled() == (block in BLOCKS), block
    assert [share(editor, block) for block in BLOCKS] == ["0.2500", "0.5000", "0.7500", "1.0000"]
    label = slider(editor, "OUT06").get_attribute("aria-label") or ""
    assert "OUT06" in label and "way up" in label and "1/2" in label and "1 layers" in label and "norm" in label
    assert "no layers" in (slider(editor, ABSENT).get_attribute("aria-label") or "")
    for length in ("26", "20", "12"):
        choose(editor, "layout", length)
        assert named() == set(LAYOUTS[int(length)])
    tag_becomes(editor, "<lora:four:0.8:lbw=1,1,1,1,1,1,0,0,0,0,0,0>")
    assert editor.complaints() == []


def test_a_slider_moved_by_keys_changes_the_tag_and_the_explanation(editor: Page) -> None:
    out = slider(editor, "OUT03")
    out.send_keys(Keys.ARROW_RIGHT)
    tag_becomes(editor, "<lora:four:0.8:lbw=1,1,1,1,1,1,1,1,0.05,0,0,1,1,1,1,0,0>")
    editor.until("the explained number", lambda: explained(editor, "OUT03") == "0.04")
    out.send_keys(Keys.PAGE_UP)
    tag_becomes(editor, ",0.55,0,0,")
    out.send_keys(Keys.DELETE)
    tag_becomes(editor, ",1,1,0,0,1")
    out.send_keys(Keys.HOME)
    tag_becomes(editor, ",-1,0,0,")
    editor.until("the explained number", lambda: explained(editor, "OUT03") == "-0.8")
    out.send_keys(Keys.ENTER)
    box = editor.driver.switch_to.active_element
    box.send_keys("2.75", Keys.ENTER)
    tag_becomes(editor, ",2.75,0,0,")
    assert slider(editor, "OUT03").get_attribute("aria-valuetext") == "2.75"
    assert editor.driver.switch_to.active_element == out
    out.send_keys(Keys.CONTROL, "z")
    tag_becomes(editor, ",-1,0,0,")
    out.send_keys(Keys.CONTROL, Keys.SHIFT, "z")
    tag_becomes(editor, ",2.75,0,0,")


def test_presets_fill_the_sliders_and_undo_goes_back(editor: Page) -> None:
    choose(editor, "preset", "OUTALL")
    tag_becomes(editor, "<lora:four:0.8:lbw=OUTALL>")
    assert slider(editor, "OUT03").get_attribute("value") == "1"
    assert slider(editor, "IN01").get_attribute("value") == "0"
    press(editor, "Invert")
    tag_becomes(editor, "lbw=0,1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0>")
    press(editor, "All 0")
    tag_becomes(editor, "lbw=NONE>")
    press(editor, "All 1")
    tag_becomes(editor, "lbw=ALL>")
    for wanted in ("NONE", "0,1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0", "OUTALL", "NCNF"):
        editor.click(f"{PANEL} .tl-be-undo")
        tag_becomes(editor, f"lbw={wanted}>")
    assert not editor.see(f"{PANEL} .tl-be-undo").is_enabled()
    editor.click(f"{PANEL} .tl-be-redo")
    tag_becomes(editor, "lbw=OUTALL>")


def test_weights_are_typed_and_rounded_as_text(editor: Page) -> None:
    text = editor.see(f"{PANEL} .tl-be-list")

    def take(written: str) -> None:
        text.send_keys(Keys.CONTROL, "a")  # `clear` leaves the box, which takes that for an answer and fills it again
        text.send_keys(written, Keys.ENTER)

    take("<lora:other:1:lbw=0.27>")
    tag_becomes(editor, "<lora:four:0.8:lbw=0.27>")
    press(editor, "Round")
    tag_becomes(editor, "<lora:four:0.8:lbw=0.3>")
    take("1,2,3")
    editor.until("the complaint", lambda: "got 3: '1,2,3'" in editor.text(f"{PANEL} .tl-be-told"))
    tag_becomes(editor, "<lora:four:0.8:lbw=0.3>")
    take("ALL,OUT03-OUT05@0")
    tag_becomes(editor, "lbw=BODY>")


def test_the_sliders_are_kept_as_a_preset(editor: Page, site: Site) -> None:
    slider(editor, "OUT03").send_keys("1")
    tag_becomes(editor, "lbw=1,1,1,1,1,1,1,1,1,0,0,1,1,1,1,0,0>")
    editor.put("block_weight_editor_name", "MINE")
    editor.put("block_weight_editor_hint", "with OUT03")
    editor.press("block_weight_editor_keep")
    editor.until("the answer", lambda: "Kept" in editor.text(f"{PANEL} .tl-be-told"))
    file = site.folder / "outputs" / "settings" / "lbwpresets.txt"
    assert "MINE:1,1,1,1,1,1,1,1,1,0,0,1,1,1,1,0,0" in file.read_text(encoding="utf8")
    editor.until("the new preset", lambda: editor.text(f"{PANEL} .tl-be-hint") == "with OUT03")
    slider(editor, "OUT03").send_keys("0")
    tag_becomes(editor, "lbw=NCNF>")
    choose(editor, "preset", "MINE")
    tag_becomes(editor, "lbw=MINE>")


def test_what_is_no_slider_stays_and_the_prompt_leads(editor: Page) -> None:
    opened(editor, "1girl, <lora:four:te=1:unet=0.5:lbw=R,1,1,1,X,1,1,1,1,1,1,1,1,1,1,1,1:x=0.4:start=2> smile")
    editor.until("the tag's items", lambda: slider(editor, "OUT03").get_attribute("value") == "1")
    slider(editor, "OUT03").send_keys("0")
    tag_becomes(editor, "<lora:four:te=1:unet=0.5:lbw=R,1,1,1,X,1,1,1,0,1,1,1,1,1,1,1,1:x=0.4:start=2> smile")
    editor.put("txt2img_prompt", "1girl, <lora:four:1:lbw=0.5>")
    editor.until("the sliders", lambda: slider(editor, "M00").get_attribute("value") == "0.5")
    slider(editor, "M00").send_keys(Keys.CONTROL, "z")
    tag_becomes(editor, "<lora:four:1:lbw=R,1,1,1,X,1,1,1,0,1,1,1,1,1,1,1,1>")


def test_without_live_the_tag_waits_for_its_button(editor: Page) -> None:
    editor.click(f"{PANEL} .tl-be-live input")
    press(editor, "All 0")
    editor.until("the sliders", lambda: slider(editor, "M00").get_attribute("value") == "0")
    press(editor, "From the tag")
    editor.until("the tag's weights", lambda: slider(editor, "M00").get_attribute("value") == "1")
    assert editor.value("txt2img_prompt").endswith("<lora:four:0.8:NCNF>")
    press(editor, "All 0")
    press(editor, "To the tag")
    tag_becomes(editor, "lbw=NONE>")


def test_the_popover_opens_on_the_tag_at_the_caret(page: Page, lora: str) -> None:
    page.tab("tab_txt2img")
    box = page.put("txt2img_prompt", f"a <lora:nobody:1> b <lora:{lora}:0.5:start=3> c")
    page.driver.execute_script("arguments[0].setSelectionRange(2, 2)", box)
    page.until("the button at the tag", lambda: page.text(".tl-be-open") == "Blocks")
    page.driver.execute_script("arguments[0].setSelectionRange(25, 25)", box)
    box.send_keys(Keys.CONTROL, Keys.SHIFT, "b")
    page.until("the first slider with the focus: BASE has no layers in this LoRA",
               lambda: page.driver.switch_to.active_element.get_attribute("data-block") == "IN01")
    assert page.text(f"{POPOVER} .tl-be-lora option:checked") == lora
    page.driver.switch_to.active_element.send_keys("0")
    tag_becomes(page, f"a <lora:nobody:1> b <lora:{lora}:0.5:start=3:lbw=1,0,1,")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.until("the end of the pop-over", lambda: not page.driver.find_elements("css selector", POPOVER))
    assert page.driver.switch_to.active_element == box
    page.click(".tl-be-open")
    page.see(f"{POPOVER} .tl-be-cell")
    page.click(f"{POPOVER} .tl-be-close")
    box.send_keys(Keys.END)
    page.until("no button off the tags", lambda: not page.driver.find_elements("css selector", ".tl-be-open"))
    assert page.complaints() == []


def test_a_finger_moves_a_slider(editor: Page) -> None:
    target = slider(editor, "M00")
    editor.aim(target)
    width = target.rect["width"]
    fingers = ActionBuilder(editor.driver, mouse=PointerInput(interaction.POINTER_TOUCH, "finger"))
    fingers.pointer_action.move_to(target, int(width / 6), 0).pointer_down()
    fingers.pointer_action.move_to(target, int(-width / 2) + 8, 0).pointer_up()
    fingers.perform()
    tag_becomes(editor, "lbw=1,1,1,1,1,1,1,-1,0,0,0,1,1,1,1,0,0>")


def colours(driver: webdriver.Chrome) -> tuple[str, str]:
    return tuple(driver.execute_script(
        "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.color, s.backgroundColor]",
        f"{PANEL} .tl-be-net"))


@pytest.fixture
def dark_and_japanese(editor: Page) -> Iterator[tuple[tuple[str, str], Page]]:
    light = colours(editor.driver)
    editor.open("?lang=ja&__theme=dark")
    yield light, editor


def test_it_is_dark_where_the_page_is_and_speaks_the_persons_language(
    dark_and_japanese: tuple[tuple[str, str], Page], lora: str
) -> None:
    light, page = dark_and_japanese
    opened(page, f"<lora:{lora}:1>")
    assert all(a != b for a, b in zip(light, colours(page.driver), strict=True))
    press(page, "反転")
    tag_becomes(page, "lbw=NONE>")
    assert "中間" in (slider(page, "M00").get_attribute("aria-label") or "")
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


REPLACED = {
    "<lora:n>": "<lora:n:lbw=W>",
    "<lora:n:0.8:NCNF:0.5>": "<lora:n:0.8:lbw=W:x=0.5>",
    "<lora:n:0.8:0.7:NCNF:0.5:0.4:start=3>": "<lora:n:0.8:0.7:lbw=W:x=0.5:start=3>",
    "<lora:n:NCNF:0.8:0.7:0.5>": "<lora:n:lbw=W:0.8:0.7:x=0.5>",
    "<lora:n:1:NCNF:0.5:x=2>": "<lora:n:1:lbw=W:x=2>",
    "<lora:n:1:NCNF:te=0.5:lbwe=A>": "<lora:n:1:lbw=W:te=0.5:lbwe=A>",
    "<lora:n:0.8:1,0,1>": "<lora:n:0.8:lbw=W>",
    "<lora:n: LBW = A :te=1>": "<lora:n:lbw=W:te=1>",
    "<lora:n:w=A:start=3>": "<lora:n:lbw=W:start=3>",
    "<lora:n:w=A:lbw=B:lbw=C>": "<lora:n:w=A:lbw=B:lbw=W>",
    "<lora:n:0.5@0,1@0.5>": "<lora:n:0.5@0,1@0.5:lbw=W>",
    "<lyco:te=1:n:nan>": "<lyco:te=1:n:nan:lbw=W>",
}
PASTED = {
    " 1, 0.5 ,1 ": "1, 0.5 ,1", "1 0\n0.5": "1,0,0.5", "NCNF": "NCNF", "lbw=OUTD": "OUTD", "<lora:n:1:OUTD:2>": "OUTD",
    "a <lora:n:1:te=1:LBW=1,2:x=3> b": "1,2", "<lora:n:1>": "", "ALL,IN01 IN02@0.5": "ALL,IN01 IN02@0.5",
}


def test_tags_are_cut_as_the_server_cuts_them(page: Page) -> None:
    def asked(code: str, *values: str) -> object:
        return page.driver.execute_script(f"return trainLora.blocks.{code}", *values)

    for tag, changed in REPLACED.items():
        assert asked("withWeights(arguments[0], 'W')", tag) == changed
    for text, weights in PASTED.items():
        assert asked("pasted(arguments[0])", text) == weights
    prompt = "😀 <lora:zün ko:1>, <hypernet:x:1> <LyCo:te=1:b> <lora:> < lora:c:1> <lora:d"
    assert asked("tags(arguments[0]).map((tag) => tag.name)", prompt) == ["zün ko", "b"]
