"""The queue under the Start button: its list is drawn by `javascript/train_lora_queue.js` from the routes' answers.

What is pressed there reaches Python through a hidden text box, behind whatever login the page has, as all buttons of
the run do.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.jobs import Jobs
from lib_trainer.ui import notes
from lib_trainer.ui.run_buttons import HIDDEN

if TYPE_CHECKING:
    from gradio.components import Component

_PLACES = {"up": -1, "down": 1}


class QueuePart:
    """The list's place on the page and what happens when its buttons are pressed."""

    def __init__(self, jobs: Jobs, mark: Callable[[], str]) -> None:
        """Starts without controls; `mark` makes the text that tells JavaScript to look again."""
        self._jobs = jobs
        self._mark = mark

    def lay_out(self) -> None:
        """Makes the list's place."""
        gr.HTML('<div id="train_lora_queue"></div>')

    def lay_out_hidden(self) -> None:
        """Makes what only JavaScript uses; `connect` joins it."""
        self._wish = gr.Textbox("", show_label=False, elem_id="train_lora_queue_wish", elem_classes=HIDDEN)

    def connect(self, problems: Component, mark: Component, **quiet: Any) -> None:
        """Lets the buttons act; what they cannot do is told in `problems`."""
        self._wish.input(self.on_wish, [self._wish], [problems, mark], **quiet)

    def on_wish(self, wish: str) -> list[str]:
        """Does what was pressed.

        Args:
            wish: JSON: the word ("up", "down", "remove", "start", "pause"), the number of the entry, a stamp that
                makes two presses differ.
        """
        try:
            word, number, _ = json.loads(wish)
            self._do(str(word), int(number))
        except UserError as error:
            return [notes.problems_of(error), self._mark()]
        return ["", self._mark()]

    def _do(self, word: str, number: int) -> None:
        queue = self._jobs.queue
        if word in _PLACES:
            queue.move(number, _PLACES[word])
        elif word == "remove":
            queue.remove(number)
        elif word == "start":
            queue.start()
        elif word == "pause":
            queue.pause()
