"""The fold "Settings files" of the tab: settings saved under a name, those of other programs, and those of a LoRA."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.ui import notes
from lib_trainer.ui.form import Form, Value
from lib_trainer.ui.interchange_fold import InterchangeFold
from lib_trainer.ui.saved_settings import Draft, SavedSettings

if TYPE_CHECKING:
    from gradio.components import Component

_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}


class SettingsFold:
    """The fold's controls and what they do."""

    def __init__(
        self, host: Host, form: Form, saved: SavedSettings, labels: Mapping[str, str],
        fill: Callable[[Draft], list[Any]],
    ) -> None:
        """Makes the fold's inside.

        Args:
            host: where its LoRAs lie.
            form: the settings' controls. saved: their files.
            labels: short names of the goals by what is chosen. fill: returns the updates that fill the whole form.
        """
        self._form, self._saved, self._labels, self._fill = form, saved, labels, fill
        self._interchange = InterchangeFold(host, form, fill)

    def lay_out(self) -> None:
        """Makes the controls."""
        with gr.Row():
            self.name = gr.Textbox(
                label="Save these settings as", info="A name; saving under it again replaces it.",
                elem_id="train_lora_settings_name",
            )
            self.names = gr.Dropdown(
                [], label="Saved settings", info="Choose some to load.", interactive=True,
                elem_id="train_lora_settings_list",
            )
        with gr.Row():
            self.save = gr.Button("Save settings", elem_id="train_lora_settings_save")
            self.load = gr.Button("Load settings", elem_id="train_lora_settings_load")
            self.reset = gr.Button("Back to the defaults", elem_id="train_lora_settings_reset")
        self._interchange.lay_out()

    @property
    def lists(self) -> list[Component]:
        """The lists of saved settings and of LoRAs, which a fresh page reads anew."""
        return [self.names, self._interchange.lora]

    def choices(self) -> list[Any]:
        """Returns gradio's updates of `lists`."""
        return [gr.update(choices=self._saved.names()), self._interchange.choices()]

    def connect(self, goal: Component, problems: Component, everything: list[Component]) -> None:
        """Connects the controls.

        Args:
            goal: the choice of a goal. problems: where sentences are shown. everything: what `fill` updates.
        """
        self.save.click(self.on_save, [self.name, goal, *self._form.inputs], [self.names, problems], **_QUIET)
        self.load.click(self.on_load, [self.names], [problems, *everything], **_QUIET)
        self.reset.click(self.on_reset, None, [problems, *everything], **_QUIET)
        self._interchange.connect(everything)
        self._everything = len(everything)

    def on_save(self, name: str, goal: str, *values: Value) -> list[Any]:
        """Saves the form under a name."""
        try:
            path = self._saved.save(name, Draft(self._labels[goal], self._form.read(values)))
        except UserError as error:
            return [gr.update(), notes.problems_of(error)]
        return [gr.update(choices=self._saved.names(), value=path.stem), notes.note("Settings saved.")]

    def on_load(self, name: str | None) -> list[Any]:
        """Fills the form with saved settings."""
        try:
            draft = self._saved.load(name or "")
        except UserError as error:
            return [notes.problems_of(error), *(gr.update() for _ in range(self._everything))]
        return ["", *self._fill(draft)]

    def on_reset(self) -> list[Any]:
        """Fills the form with the defaults."""
        return ["", *self._fill(Draft())]
