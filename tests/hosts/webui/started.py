"""Goes through a WebUI's start with our scripts in it, in the doubles, and prints what that took as JSON.

A process of its own, since what a start imports shows only where nothing has been imported yet:
`python -m tests.hosts.webui.started FOLDER`.
"""
from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from tests.hosts import doubles

ROOT = Path(__file__).resolve().parents[3]


def main(folder: str) -> None:
    """Calls what the WebUI calls, in its order."""
    with doubles.installed("a1111", Path(folder)):
        from modules import script_callbacks
        from modules.shared import cmd_opts

        cmd_opts.api = True
        script, _ = (runpy.run_path(str(ROOT / "scripts" / f"{name}.py")).get("LoraBlockWeight")
                     for name in ("lora_block_weight", "train_lora"))
        called = script_callbacks.callback_map
        for before in called["before_ui"]:
            before()
        panels = [_panel(script, tab) for tab in ("txt2img", "img2img")]
        tabs = [tab for tabs in called["ui_tabs"] for tab in tabs()]
        for settings in called["ui_settings"]:
            settings()
        web = FastAPI()
        for started in called["app_started"]:
            started(None, web)
        print(json.dumps({
            "modules": sorted(name for name in sys.modules if name.split(".")[0] == "lib_trainer"),
            "panels": panels, "tabs": {elem_id: _size(blocks) for blocks, _, elem_id in tabs},
            "applications": sum(hasattr(blocks, "app") for blocks, _, _ in tabs),
        }))


def _panel(script: type[Any], tab: str) -> tuple[int, int]:
    """Builds a tab with our panel; returns what the panel adds to it."""
    made = script()
    made.is_img2img = tab == "img2img"
    with gr.Blocks() as page:
        prompt = gr.Textbox(elem_id=f"{tab}_prompt")
        made.after_component(prompt, elem_id=f"{tab}_prompt")
        before = _size(page)
        made.ui(made.is_img2img)
    return tuple(after - early for after, early in zip(_size(page), before, strict=True))


def _size(page: gr.Blocks) -> tuple[int, int]:
    """Returns how many components and events a page has."""
    return len(page.blocks), len(page.fns)


if __name__ == "__main__":
    main(sys.argv[1])
