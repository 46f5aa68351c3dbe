"""The buttons of a running training as gradio events, each with a function of its own, so that none waits for another.

The buttons that a person sees are drawn beside the chart by `javascript/train_lora_run.js`; they press these hidden
ones. So they work behind whatever login the WebUI has, and no route of ours has to be open for them. The hidden Stop
carries the id that the WebUIs' own keyboard habit looks for (Esc presses `*_interrupt`).
"""
from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.job import Job
from lib_trainer.jobs import Jobs
from lib_trainer.ui import notes

if TYPE_CHECKING:
    from gradio.components import Component

HIDDEN = ["tl-hidden"]
"""Style of what only JavaScript uses; `visible=False` would take it off the page under gradio 4."""

_PRESSES: dict[str, tuple[str, Callable[[Job], None]]] = {
    "train_lora_interrupt": ("stop", lambda job: job.controls.stop(save=True)),
    "train_lora_press_discard": ("discard", lambda job: job.controls.stop(save=False)),
    "train_lora_press_pause": ("pause", lambda job: job.controls.pause()),
    "train_lora_press_continue": ("continue", lambda job: job.controls.resume()),
    "train_lora_press_save": ("save", lambda job: job.controls.save_now()),
    "train_lora_press_sample": ("sample", lambda job: job.controls.sample_now()),
}
"""Hidden button by element id: its word and what it does to the running job."""


class RunButtons:
    """The hidden buttons, and the mark that tells JavaScript that something was pressed."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._presses = count(1)

    def lay_out(self) -> None:
        """Makes the controls; `connect` joins them."""
        self._buttons = {elem_id: gr.Button(word, elem_id=elem_id, elem_classes=HIDDEN)
                         for elem_id, (word, _) in _PRESSES.items()}
        self.mark = gr.HTML("", elem_id="train_lora_pressed", elem_classes=HIDDEN)

    def connect(self, problems: Component, **quiet: Any) -> None:
        """Lets the buttons act; what they cannot do is told in `problems`."""
        for elem_id, button in self._buttons.items():
            button.click(self._presser(_PRESSES[elem_id][1]), None, [problems, self.mark], **quiet)

    def pressed(self) -> str:
        """Returns a new mark: JavaScript sees it change and asks for the events."""
        return f"<b>{next(self._presses)}</b>"

    def _presser(self, press: Callable[[Job], None]) -> Callable[[], list[str]]:
        def pressing() -> list[str]:
            try:
                press(self._jobs.running())
            except UserError as error:
                return [notes.problems_of(error), self.pressed()]
            return ["", self.pressed()]

        return pressing
