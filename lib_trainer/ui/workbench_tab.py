"""The LoRA Workbench tab: merge, resize, extract, bake, convert, prune, metadata, inspect.

Four components of gradio are all it has, so it costs a WebUI's start nothing. Its controls are drawn by
`javascript/train_lora_workbench.js` from the operations' forms (`lib_trainer.api.workbench` hands them out) when the
tab is first seen; what is pressed there comes back through a hidden text box, behind whatever login the page has.
"""
from __future__ import annotations

import json
from html import escape
from typing import Any

import gradio as gr

from lib_trainer.errors import Problems, UserError
from lib_trainer.ui.app import App
from lib_trainer.ui.inner_blocks import InnerBlocks
from lib_trainer.ui.run_buttons import HIDDEN

TITLE = "LoRA Workbench"
_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}


class WorkbenchTab:
    """The tab's place on the page and what happens when its buttons are pressed."""

    def __init__(self, app: App) -> None:
        """Starts without controls; `app` has the workbench."""
        self._app = app

    def lay_out(self) -> None:
        """Makes the controls and connects them."""
        with gr.Column(elem_id="lora_workbench_tab", elem_classes=["tl"]):
            gr.HTML('<div id="lora_workbench" class="tl-wb"></div>')
            wish = gr.Textbox("", show_label=False, elem_id="lora_workbench_wish", elem_classes=HIDDEN)
            answer = gr.HTML("", elem_id="lora_workbench_answer", elem_classes=HIDDEN)
        wish.input(self.on_wish, [wish], [answer], **_QUIET)

    def on_wish(self, wish: str) -> str:
        """Does what was pressed, and answers with JSON in an attribute.

        Args:
            wish: JSON: the word ("start" or "cancel"), the operation, its values, a stamp that no two presses share.
        """
        word, operation, values, stamp = json.loads(wish)
        answer: dict[str, Any] = {"stamp": stamp, "problems": []}
        try:
            answer["number"] = self._do(str(word), str(operation), values)
        except Problems as error:
            answer["problems"] = error.problems
        except UserError as error:
            answer["problems"] = [str(error)]
        return f'<b data-answer="{escape(json.dumps(answer))}"></b>'

    def _do(self, word: str, operation: str, values: dict[str, Any]) -> int:
        """Starts or cancels; returns the number of the task."""
        desk = self._app.jobs.workbench
        if word == "cancel":
            running = desk.tasks.running()
            running.cancel()
            return running.number
        return desk.start(operation, values).number


def build(app: App) -> gr.Blocks:
    """Returns the tab."""
    with InnerBlocks(analytics_enabled=False) as blocks:
        WorkbenchTab(app).lay_out()
    for component in blocks.blocks.values():
        component.do_not_save_to_config = True  # the WebUIs would keep the last wish in ui-config.json
    return blocks
