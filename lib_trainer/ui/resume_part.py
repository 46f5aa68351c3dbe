"""Going on with a run from the tab: the list of states, and the offer to go on with one that broke off."""
from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths
from lib_trainer.jobs import Jobs
from lib_trainer.training import config_reading
from lib_trainer.training.resume.words import AUTO
from lib_trainer.ui import notes
from lib_trainer.ui.form import FIELDS, Form
from lib_trainer.ui.run_buttons import HIDDEN

if TYPE_CHECKING:
    from gradio.components import Component

    from lib_trainer.training.resume.search import Found

ALWAYS = ("", AUTO)
"""What may be chosen wherever no run is yet: nothing, the newest one."""
_LISTED = 50
"""States in the list, the newest first."""


def choices(paths: HostPaths) -> list[str]:
    """Returns what may be chosen: nothing, the newest run, every state by name (by path where two share one)."""
    from lib_trainer.training.resume import search

    folders = search.all_states(paths)[:_LISTED]
    names = [folder.name for folder in folders]
    return [*ALWAYS, *(folder.name if names.count(folder.name) == 1 else str(folder) for folder in folders)]


class ResumePart:
    """The offer on the first screen, and what happens when a state is chosen in the form."""

    def __init__(self, jobs: Jobs, paths: HostPaths, form: Form, mark: Callable[[], str]) -> None:
        """Makes the part; `mark` returns what tells JavaScript that something was pressed, new each time."""
        self._jobs, self._paths, self._form, self._mark = jobs, paths, form, mark

    def lay_out(self) -> None:
        """Makes the controls; `connect` joins them."""
        self.offer = gr.HTML("", elem_id="train_lora_offer")
        self.go_on = gr.Button("Continue this training", elem_id="train_lora_go_on", visible=False)
        self._look = gr.Button("look", elem_id="train_lora_look", elem_classes=HIDDEN)

    def connect(self, problems: Component, mark: Component, look: gr.Button, **quiet: Any) -> None:
        """Joins the controls.

        Args:
            problems: where faults are told. mark: what tells JavaScript of a press.
            look: a button that is pressed when a page begins.
        """
        offer = [self.offer, self.go_on]
        for button in (look, self._look):  # JavaScript presses ours when a training begins or ends
            button.click(self.on_look, None, offer, **quiet)
        self.go_on.click(self.on_go_on, None, [problems, mark, *offer, *self._form.inputs], **quiet)
        self._form.controls["resume"].input(
            self.on_choose, [self._form.controls["resume"]], [problems, *self._form.inputs], **quiet)

    def on_look(self) -> list[Any]:
        """Offers the newest run if it broke off."""
        found = self._interrupted()
        if found is None:
            return ["", gr.update(visible=False)]
        return [unfinished(str(found.settings["name"]), *found.progress), gr.update(visible=True)]

    def on_go_on(self) -> list[Any]:
        """Goes on with the run that was offered, with its own settings, and shows them."""
        found = self._interrupted()
        if found is None:
            return ["", self._mark(), *self.on_look(), *self._form.updates({})]
        values = {**_known(found), "resume": str(found.state.folder if found.state else found.folder)}
        try:
            self._jobs.start(config_reading.from_dict(values))
        except UserError as error:
            return [notes.problems_of(error), self._mark(), *(gr.update(), gr.update()), *self._form.updates(values)]
        began = notes.note("Training has begun; you may draw with txt2img meanwhile.", until_the_end=True)
        return [began, self._mark(), "", gr.update(visible=False), *self._form.updates(values)]

    def on_choose(self, text: str) -> list[Any]:
        """Fills the form with the settings of a chosen state, so that only what is meant is changed."""
        from lib_trainer.training.resume import search

        if text in ALWAYS:
            return ["", *self._form.updates({})]
        try:
            found = search.find(text, "", self._paths)
        except UserError as error:
            return [notes.problems_of(error), *self._form.updates({})]
        values = {**_known(found), "resume": text} if found and found.state else {}
        return ["", *self._form.updates(values)]

    def _interrupted(self) -> Found | None:
        from lib_trainer.training.resume import search

        current = self._jobs.current
        if current is not None and current.running:
            return None
        try:
            return search.interrupted(self._paths)
        except UserError:
            return None  # what cannot be read cannot be offered; naming it under Resume tells why


def unfinished(name: str, step: int, total: int) -> str:
    """Returns that a run broke off, as HTML; one whose steps are done lacks its last file or pictures of it."""
    said = "Only the end of this training is missing:" if 0 < total <= step else "This training is not finished:"
    return (f'<div class="tl-note tl-warn"><span>{said}</span> '
            f'<b>{escape(name)}</b> <i>{step} / {total}</i></div>')


def _known(found: Found) -> dict[str, Any]:
    """Returns the settings of what was found as far as this version knows them."""
    return {name: value for name, value in found.settings.items() if name in FIELDS}
