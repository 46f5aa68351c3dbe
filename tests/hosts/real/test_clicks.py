"""The loop by clicking, in the page of a real host: train, draw meanwhile, stop, "to prompt", layer by layer."""
from __future__ import annotations

from pathlib import Path

from tests.browser.test_loop import LINE
from tests.hosts.real import training
from tests.hosts.real.page import HostPage
from tests.hosts.real.pixels import differ, same
from tests.hosts.real.server import Server

PROMPT = "1girl, blue background"


def step(page: HostPage) -> int:
    """Waits for the progress line and returns the steps done."""
    line = page.until("the progress line", lambda: LINE.search(page.text("#train_lora_run .tl-line")))
    return int(line[1])


def test_train_and_draw_by_clicking(page: HostPage, host: Server, pictures: Path) -> None:
    page.set_txt2img()
    before = page.generate(PROMPT)

    page.tab("tab_train_lora")
    page.put("train_lora_images", str(pictures))
    page.put("train_lora_name", "clicked")
    page.unfold("train_lora_group_data")
    page.put("train_lora_resolution", "64")
    page.unfold("train_lora_group_steps_and_learning_rate")
    page.put("train_lora_learning_rate", "5e-3")
    page.put("train_lora_steps", "100000")
    page.press("train_lora_generate")
    page.see("#train_lora_run[data-state=running]")
    first = step(page)

    page.tab("tab_txt2img")
    meanwhile = page.generate(PROMPT)
    live = page.generate(f"{PROMPT}, <lora:__training__:1>")
    assert same(meanwhile, before)
    assert differ(live, before)
    page.tab("tab_train_lora")
    page.until("steps after the picture", lambda: step(page) > first + 6)

    page.open()
    page.tab("tab_train_lora")
    assert step(page) > first, "a reloaded page goes on with the run"
    page.press("train_lora_stop")
    page.see("#train_lora_run[data-state=finished]")
    assert (host.loras / "clicked.safetensors").is_file()
    assert page.text("#train_lora_tag") == "<lora:clicked:1>"

    page.press("train_lora_to_prompt")
    page.until("the tag in the prompt", lambda: "<lora:clicked:1>" in page.value("txt2img_prompt"))
    page.set_txt2img()
    drawn = [page.generate(PROMPT + tag) for tag in (
        "", ", <lora:clicked:1>", ", <lora:clicked:0.8:NCNF>", ", <lora:clicked:0.8:OUTD>")]
    assert same(drawn[0], before)
    assert all(differ(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    infotext = drawn[2].info["parameters"]
    assert "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0" in infotext.replace(" ", "")
    complaints = [line for line in page.complaints() if "train_lora" in line or "lora-trainer" in line]
    assert complaints == []


def test_reload_ui_leaves_the_running_training_alone(page: HostPage, host: Server, pictures: Path) -> None:
    run = training.start(host, pictures, "reloaded", steps=100000)
    run.until_step(2)
    starts = host.log.count("Startup time:")
    page.tab("tab_settings")
    page.press("settings_restart_gradio")
    page.until("the host's second start", lambda: host.log.count("Startup time:") > starts)
    page.open()
    page.tab("tab_train_lora")
    before = step(page)
    page.until("further steps", lambda: step(page) > before)
    page.press("train_lora_stop")
    page.see("#train_lora_run[data-state=finished]")
    assert run.finished().is_file()
    assert differ(host.draw(f"{PROMPT}<lora:reloaded:1>"), host.draw(PROMPT))
