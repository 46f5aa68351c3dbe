"""A part of the panel that shows a file of entries: the list with its form, what other files have, the file as text."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.blocks.entry_text import Format
from lib_trainer.ui.block_weight.entry_list import EntryList, Words
from lib_trainer.ui.block_weight.entry_table import EntryTable
from lib_trainer.ui.block_weight.import_fold import ImportFold
from lib_trainer.ui.block_weight.kept_file import KeptFile
from lib_trainer.ui.block_weight.text_fold import TextFold

if TYPE_CHECKING:
    from gradio.components import Component


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        form: how it is read and written.
        shipped: the file that comes with the program; its name is that of the person's file, too.
        title: the part's title. intro: HTML under it, "" = none.
        label: what the file holds, in a sentence.
        words: what the page says of an entry. text_help: how the file is written.
    """

    form: Format
    shipped: Path
    title: str
    intro: str
    label: str
    words: Words
    text_help: str


class EntryPart:
    """One part.

    Attributes:
        entries: list and form. text: the file as text. imports: what other files have.
    """

    def __init__(self, settings: Path, prefix: str, kind: Kind, table: EntryTable, peer: Sequence[Path]) -> None:
        """Starts an empty part.

        Args:
            settings: the folder of the file and its backups.
            prefix: begins all element ids.
            kind: the kind of file. table: how its entries are listed.
            peer: folders in which the LoRA Block Weight extension may keep its files.
        """
        name = kind.shipped.name
        self._kind = kind
        self.entries = EntryList(KeptFile(settings / name, kind.shipped, settings / "backups", kind.label), kind.form,
                                 prefix, kind.words, table)
        self.imports = ImportFold(self.entries, kind.shipped, [folder / name for folder in peer])
        self.text = TextFold(self.entries, kind.text_help)

    def lay_out(self) -> None:
        """Makes the controls; `text.follow` is to be called when all that changes the entries is joined."""
        with gr.Accordion(self._kind.title, open=False, elem_id=self.entries.id("fold")):
            if self._kind.intro:
                gr.HTML(self._kind.intro)
            self.entries.lay_out()
            self.imports.lay_out()
            self.text.lay_out()
            gr.HTML(f'<p class="tl-quiet"><span>Kept in</span> <code>{escape(str(self.entries.file.path))}</code></p>')

    @property
    def views(self) -> list[Component]:
        """The components that `on_put` fills."""
        return self.entries.views

    def on_put(self, name: str, body: str, hint: str = "") -> list[Any]:
        """Keeps an entry: a new one, or that of this name (and architecture) changed."""
        return self.entries.on_put(name, body, hint)
