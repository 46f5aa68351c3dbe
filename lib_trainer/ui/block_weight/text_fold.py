"""The whole file as text, for those who like it so, and the versions of it that were kept."""
from __future__ import annotations

import hashlib
from typing import Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.ui.block_weight.entry_list import QUIET, EntryList
from lib_trainer.ui.block_weight.entry_table import Choice
from lib_trainer.ui.notes import note, problems_of, warnings

Seen = list[str]
"""What the person began with: the file's stamp, and a digest of the text as it was shown."""


class TextFold:
    """The text box and its buttons.

    Attributes:
        text: the box.
        saved: gradio's event after which the text is in the file.
    """

    def __init__(self, entries: EntryList, help_text: str) -> None:
        """Edits the file of a list.

        Args:
            entries: the list, which shows what a save changed.
            help_text: what stands under the box's label.
        """
        self._list = entries
        self._help = help_text

    def lay_out(self) -> None:
        """Makes the controls and joins them; the list must stand already. `follow` is to be called at the end."""
        with gr.Accordion("The file as text", open=False, elem_id=self._list.id("text_fold")):
            self.text = self._list.box("text", lines=14, max_lines=14, label="Text", info=self._help,
                                       elem_classes=["tl-mono"])
            self._seen = gr.State(value=["", _digest("")])  # nothing was typed: the first change shows the file
            with gr.Row(elem_classes=["tl-small-buttons"]):
                save = gr.Button("Save the text", size="sm", elem_id=self._list.id("save"))
                again = gr.Button("Read the file again", size="sm", elem_id=self._list.id("reload"))
            with gr.Row(equal_height=True, elem_classes=["tl-with-buttons"]):
                self._kept = gr.Dropdown([], label="Earlier versions", interactive=True, scale=3,
                                         info="The last ten, by date and time.", elem_id=self._list.id("kept"))
                look = gr.Button("Show it above", elem_id=self._list.id("kept_show"), min_width=120)
            self._told = gr.HTML("", elem_id=self._list.id("text_state"))
        self._mine = [self.text, self._seen, self._kept, self._told]
        self.saved = save.click(self.on_save, [self.text, self._seen], [*self._mine, *self._list.views], **QUIET)
        again.click(self.on_reload, None, self._mine, **QUIET)
        look.click(self.on_look, [self._kept], [self.text, self._told], **QUIET)

    def follow(self) -> None:
        """Lets the text follow every change that is made elsewhere; to be called when all of them are joined."""
        for event in self._list.changes:
            event.then(self.on_change, [self.text, self._seen], self._mine, **QUIET)
        self._list.changes.append(self.saved)

    def on_save(self, text: str, seen: Seen) -> list[Any]:
        """Writes the text, unless the file was changed after it was shown."""
        try:
            changed = self._list.file.save(text, seen[0])
        except UserError as error:
            return [gr.update(), seen, gr.update(), problems_of(error), *self._list.shown("", Choice())]
        done = note("Saved. The text before is among the earlier versions.")
        if not changed:
            done = note("Nothing was changed.")
        return [*self.on_reload()[:3], done, *self._list.shown("", Choice())]

    def on_reload(self) -> list[Any]:
        """Shows the file as it is now."""
        try:
            text, seen = self._shown()
        except UserError as error:
            return [gr.update(), ["", ""], gr.update(), problems_of(error)]
        return [text, seen, gr.update(choices=self._names()), ""]

    def on_change(self, text: str, seen: Seen) -> list[Any]:
        """Follows a change that was made in the list; what somebody has typed here is left alone."""
        if _digest(text) == seen[1]:
            return self.on_reload()
        return [gr.update(), seen, gr.update(choices=self._names()),
                warnings(["The file has changed, and this text is not saved: it is kept here; press "
                          "'Read the file again' to see the file."])]

    def on_look(self, name: str | None) -> list[Any]:
        """Puts an earlier version into the box; it is written only when it is saved."""
        if not name:
            return [gr.update(), warnings(["Choose an earlier version first."])]
        try:
            return [self._list.file.backup(name), note("This is the earlier version. Save the text to bring it back.")]
        except UserError as error:
            return [gr.update(), problems_of(error)]

    def _names(self) -> list[str]:
        return [path.name for path in self._list.file.backups()]

    def _shown(self) -> tuple[str, Seen]:
        version = self._list.file.read()
        return version.text, [version.stamp, _digest(version.text)]


def _digest(text: str) -> str:
    """Equal for texts that a browser shows alike: it has one kind of line end."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return hashlib.sha256(lines.encode("utf8", errors="replace")).hexdigest()
