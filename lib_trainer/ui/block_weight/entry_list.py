"""A file of named entries on the page: the list, the form that changes one of them, and what a change says.

Presets and elemental rules are shown and edited alike; `presets` and `elements` say what an entry looks like. Every
change is made in the file as it is at that moment, so nothing that another program wrote meanwhile is lost.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.blocks import entry_editing as editing
from lib_trainer.blocks.entry_text import Format, Item, Key
from lib_trainer.blocks.hints import Hint
from lib_trainer.errors import UserError
from lib_trainer.ui.block_weight.entry_table import NOBODY, Choice, EntryTable
from lib_trainer.ui.block_weight.kept_file import KeptFile, Version
from lib_trainer.ui.notes import note, problems, problems_of, warnings
from lib_trainer.ui.run_buttons import HIDDEN

if TYPE_CHECKING:
    from gradio.components import Component

QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}

_BUTTONS = {"change": "Save changes", "add": "Add as new", "copy": "Duplicate", "delete": "Delete", "up": "Up",
            "down": "Down", "undo": "Undo"}


@dataclass(frozen=True)
class Words:
    """What the page says of a kind of entry.

    Attributes:
        name_help: what a name is for.
        body: label of what an entry says. body_help: how it is written. lines: lines of its box.
    """

    name_help: str
    body: str
    body_help: str
    lines: int = 1


class EntryList:
    """The list, the form and the message.

    Attributes:
        file: where the entries are.
        views: the components that every change fills.
        changes: gradio's events after which the file may be another.
    """

    def __init__(self, file: KeptFile, form: Format, prefix: str, words: Words, table: EntryTable) -> None:
        """Starts an empty list.

        Args:
            file: where the entries are. form: how it is read and written.
            prefix: begins all element ids; the table's hidden box is PREFIX_chosen.
            words: what the page says. table: how the entries are listed.
        """
        self.file = file
        self.form = form
        self._prefix = prefix
        self._words = words
        self._list = table
        self.views: list[Component] = []
        self.changes: list[Any] = []

    def lay_out(self) -> None:
        """Makes the controls and joins them; a page that is opened presses `refresh`, which reads the file."""
        table = gr.HTML(self._list.html([], Choice()), elem_id=self.id("table"))
        state = gr.HTML("", elem_id=self.id("state"))
        self._chosen = self.box("chosen", show_label=False, elem_classes=HIDDEN)
        with gr.Row():
            name = self.box("name", label="Name", info=self._words.name_help, scale=2, min_width=120, max_lines=1)
            body = self.box("body", label=self._words.body, info=self._words.body_help, scale=5,
                            lines=self._words.lines, max_lines=8)
        with gr.Row(equal_height=True):
            hint = self.box("hint", label="Hint", info="One line that says what it is for.", scale=5, max_lines=1)
            folklore = gr.Checkbox(False, label="Folklore", info="People say so, nobody has measured it.", scale=2,
                                   elem_id=self.id("folklore"), min_width=120)
            folklore.do_not_save_to_config = True
        with gr.Row(elem_classes=["tl-small-buttons"]):
            self._buttons = {part: gr.Button(label, size="sm", min_width=70, elem_id=self.id(part))
                             for part, label in _BUTTONS.items()}
        self._refresh = gr.Button("refresh", elem_id=self.id("refresh"), elem_classes=HIDDEN)
        stamp = gr.HTML("", elem_id=self.id("json"), elem_classes=HIDDEN)
        self._form = [name, body, hint, folklore]
        self.views = [table, state, stamp, self._chosen, *self._form]
        self._connect()

    def box(self, part: str, value: str = "", **options: Any) -> Component:
        """Makes a text box that always begins as the page says."""
        box: Component = gr.Textbox(value, elem_id=self.id(part), interactive=True, **options)
        # The WebUIs keep first values of text boxes in ui-config.json and would show a text of long ago.
        box.do_not_save_to_config = True
        return box

    def id(self, part: str) -> str:
        """Returns the element id of a control."""
        return f"{self._prefix}_{part}"

    def _connect(self) -> None:
        chosen, whole = [self._chosen], [self._chosen, *self._form]
        self.on(self._buttons["change"], self.on_change, whole)
        self.on(self._buttons["add"], self.on_add, whole)
        self.on(self._buttons["copy"], self.on_copy, chosen)
        self.on(self._buttons["delete"], self.on_delete, chosen)
        self.on(self._buttons["up"], lambda box: self.on_move(box, -1), chosen)
        self.on(self._buttons["down"], lambda box: self.on_move(box, 1), chosen)
        self.on(self._buttons["undo"], self.on_undo, chosen)
        self.on(self._refresh, self.on_show, chosen)
        self._chosen.input(self.on_show, chosen, self.views, **QUIET)

    def on(self, button: Component, handler: Callable[..., list[Any]], inputs: list[Component] | None) -> None:
        """Lets a button change the file and fill all views."""
        self.changes.append(button.click(handler, inputs, self.views, **QUIET))

    def on_show(self, chosen: str) -> list[Any]:
        """Shows the file as it is, with the chosen entry in the form."""
        return self.shown("", Choice.read(chosen))

    def on_change(self, chosen: str, name: str, body: str, hint: str, folklore: bool) -> list[Any]:
        """Writes the chosen entry as the form says; what the form leaves as it is stays to the letter."""
        choice = Choice.read(chosen)

        def change(text: str) -> str:
            old, new = self._item(text, choice.key), Hint(hint.strip(), folklore)
            return editing.change(self.form, text, choice.key, name, None if old.body == body.strip() else body,
                                  None if old.hint == new else new)

        return self.edit(change, note("Saved."), choice, name)

    def on_add(self, chosen: str, name: str, body: str, hint: str, folklore: bool) -> list[Any]:
        """Adds an entry as the form says."""
        return self.edit(lambda text: editing.add(self.form, text, name, body, Hint(hint, folklore)), note("Added."),
                         Choice.read(chosen), name)

    def on_put(self, name: str, body: str, hint: str = "") -> list[Any]:
        """Adds an entry, or changes that which has this name (and is for the same architecture).

        Args:
            name: the name as typed. body: what the entry says. hint: its hint; "" = as it is, or none.
        """
        said = Hint(hint) if hint.strip() else None
        return self.edit(lambda text: editing.put(self.form, text, name, body, said), note("Kept."), Choice(), name)

    def on_copy(self, chosen: str) -> list[Any]:
        """Adds the chosen entry once more, under a name of its own."""
        choice = Choice.read(chosen)
        names: list[str] = []

        def copy(text: str) -> str:
            item = self._item(text, choice.key)
            names.append(editing.free_name(self.form, text, choice.key))
            return editing.add(self.form, text, names[0], item.body, item.hint)

        return self.edit(copy, note("Duplicated."), choice, lambda: names[0])

    def on_delete(self, chosen: str) -> list[Any]:
        """Takes the chosen entry away."""
        choice = Choice.read(chosen)

        def delete(text: str) -> str:
            return editing.delete(self.form, text, self._item(text, choice.key).key)

        return self.edit(delete, note("Deleted. Undo brings it back."), choice, "")

    def on_move(self, chosen: str, by: int) -> list[Any]:
        """Moves the chosen entry past its neighbour among those listed: -1 up, 1 down."""
        choice = Choice.read(chosen)

        def move(text: str) -> str:
            item, items = self._item(text, choice.key), self.form.items(text)
            listed = [one.key for one in items if choice.lists(one)]
            if item.key not in listed:
                return text
            neighbour = listed[max(0, min(listed.index(item.key) + by, len(listed) - 1))]
            return editing.move(self.form, text, item.key, [one.key for one in items].index(neighbour))

        return self.edit(move, note("Moved."), choice, "")

    def on_undo(self, chosen: str) -> list[Any]:
        """Brings back the version before the last change; once more takes that back."""
        kept = self.file.backups()
        if not kept:
            return self.shown(warnings(["There is no earlier version yet."]), Choice.read(chosen))
        return self.edit(lambda text: self.file.backup(kept[0].name), note("The version before is back."),
                         Choice.read(chosen), "")

    def edit(
        self, change: Callable[[str], str], done: str, choice: Choice, name: str | Callable[[], str]
    ) -> list[Any]:
        """Changes the file and returns the values of all views.

        Args:
            change: makes the new text of the text.
            done: what is shown when it worked.
            choice: the entry that is chosen, and what is listed.
            name: the name of the entry that is chosen afterwards, or how it is found out then; "" = the same.
        """
        try:
            changed = self.file.edit(change)
        except UserError as error:
            return self.shown(problems_of(error), choice, typed=True)
        named = name if isinstance(name, str) else name()
        return self.shown(done if changed else note("Nothing was changed."),
                          choice._replace(key=Key(named.strip(), choice.key.arch)) if named else choice)

    def _item(self, text: str, key: Key) -> Item:
        if not key.name:
            raise UserError("Choose a row of the list first.")
        found = next((item for item in self.form.items(text) if item.key == key), None)
        if found is None:
            raise UserError(f"There is no {self.form.noun} '{key.name}' in the file now: choose another row.")
        return found

    def shown(self, message: str, choice: Choice, typed: bool = False) -> list[Any]:
        """Returns the values of all views.

        Args:
            message: what has happened, as HTML.
            choice: the chosen entry, and what is listed.
            typed: whether what is typed in the form stays there.
        """
        try:
            version = self.file.read()
        except UserError as error:
            return [problems_of(error), message, *(gr.update() for _ in range(6))]
        items = self.form.items(version.text)
        item = self._chosen_of(items, choice.key)
        choice = choice._replace(key=item.key if item else NOBODY)
        fields = [item.key.name, item.body, item.hint.text, item.hint.folklore] if item else ["", "", "", False]
        return [self._list.html(items, choice), message + self._told(version), f"<b>{version.stamp}</b>", str(choice),
                *([gr.update()] * 4 if typed else fields)]

    def _chosen_of(self, items: Sequence[Item], key: Key) -> Item | None:
        """Finds an entry by its key, else the last of its name: its architecture may have changed."""
        exact = [item for item in items if item.key == key]
        return next(reversed(exact or [item for item in items if item.key.name == key.name]), None)

    def _told(self, version: Version) -> str:
        encoding = ([f"{self.file.path.name} is not UTF-8 but {version.encoding}: the next change writes it as UTF-8."]
                    if version.encoding else [])
        return warnings(encoding) + problems(problem.text for problem in self.form.problems(version.text))
