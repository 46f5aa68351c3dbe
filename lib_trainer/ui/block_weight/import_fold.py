"""Entries of other files: the peer's own where it is installed, an uploaded or pasted one, and the shipped ones."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr

from lib_trainer.blocks import merging
from lib_trainer.blocks.decoding import Decoded, decoded
from lib_trainer.errors import UserError
from lib_trainer.ui.block_weight.entry_list import QUIET, EntryList
from lib_trainer.ui.block_weight.entry_table import Choice
from lib_trainer.ui.notes import note, problems, problems_of, warnings

if TYPE_CHECKING:
    from gradio.components import Component

_SUFFIXES = (".txt", ".bak")

_LARGEST = 4_000_000
"""Bytes of a file that is read: hundreds of times what people have."""

PEER_BUTTON = "Open that of LoRA Block Weight here"

CLASHES = {"Keep mine": merging.KEEP, "Take theirs": merging.REPLACE, "Keep both, theirs as NAME_2": merging.BOTH}


class _Upload(Protocol):
    """What gradio hands over, 3 and 4 alike: `name` is the path of the copy."""

    name: str


class ImportFold:
    """The other file's text and what becomes of it."""

    def __init__(self, entries: EntryList, shipped: Path, found: Sequence[Path]) -> None:
        """Merges into the file of a list.

        Args:
            entries: the list.
            shipped: the file that comes with the program.
            found: where files of the LoRA Block Weight extension may lie.
        """
        self._list = entries
        self._shipped = shipped
        self._found = found

    def lay_out(self) -> None:
        """Makes the controls and joins them; the list must stand already."""
        with gr.Accordion("Import", open=False, elem_id=self._list.id("import")):
            with gr.Row(elem_classes=["tl-small-buttons"]):
                upload = gr.UploadButton("Open a file", size="sm", file_types=[".txt", ".bak"],
                                         elem_id=self._list.id("upload"))
                peer = self._peer_button()
                missing = gr.Button("Bring back shipped ones that are missing", size="sm",
                                    elem_id=self._list.id("restore"))
            self.other = self._list.box(
                "other", lines=5, max_lines=10, label="The other file",
                info="Open a file of LoRA Block Weight, or paste its text. Comments come along.",
                elem_classes=["tl-mono"])
            clashes = gr.Radio([*CLASHES], value="Keep mine", label="Same name, other content",
                               elem_id=self._list.id("clashes"))
            with gr.Row(elem_classes=["tl-small-buttons"]):
                look = gr.Button("What would change?", size="sm", elem_id=self._list.id("import_look"))
                take = gr.Button("Import", size="sm", elem_id=self._list.id("import_take"))
            self._told = gr.HTML("", elem_id=self._list.id("import_state"))
        opened = [self.other, self._told]
        upload.upload(self.on_upload, [upload], opened, **QUIET)
        if peer is not None:
            peer.click(self.on_peer, None, opened, **QUIET)
        look.click(self.on_look, [self.other, clashes], [self._told], **QUIET)
        views = [self._told, *self._list.views]
        self._list.changes += [take.click(self.on_take, [self.other, clashes], views, **QUIET),
                               missing.click(self.on_missing, None, views, **QUIET)]

    def _peer_button(self) -> Component | None:
        """A button for the peer's own file, where there is one."""
        if self._peer_file() is None:
            return None
        button: Component = gr.Button(PEER_BUTTON, size="sm", elem_id=self._list.id("peer"))
        return button

    def _peer_file(self) -> Path | None:
        return next((path for path in self._found if path.is_file()), None)

    def on_upload(self, file: _Upload) -> list[Any]:
        """Shows an uploaded file's text."""
        path = Path(file.name)
        if path.suffix.lower() not in _SUFFIXES:
            return [gr.update(), problems([f"'{path.name}' is no text file: choose one that ends in .txt."])]
        return self._opened(path, path.name)

    def on_peer(self) -> list[Any]:
        """Shows the text of the peer's own file."""
        path = self._peer_file()
        if path is None:
            return [gr.update(), problems(["The file of LoRA Block Weight is not there any more."])]
        return self._opened(path, str(path))

    def _opened(self, path: Path, name: str) -> list[Any]:
        try:
            found = _read(path)
        except UserError as error:
            return [gr.update(), problems_of(error)]
        how = f", read as {found.encoding}" if found.encoding else ""
        count = len(self._list.form.items(found.text))
        return [found.text, f'<p class="tl-quiet">{escape(name)}: {count}{escape(how)}</p>']

    def on_look(self, other: str, clashing: str) -> str:
        """Tells what an import would do."""
        try:
            return report(merging.merge(self._list.form, self._list.file.read().text, other, CLASHES[clashing]))
        except UserError as error:
            return problems_of(error)

    def on_take(self, other: str, clashing: str) -> list[Any]:
        """Imports the other text."""
        return self._merged(other, CLASHES[clashing])

    def on_missing(self) -> list[Any]:
        """Brings back the shipped entries whose names are missing."""
        return self._merged(self._shipped.read_text(encoding="utf8"), merging.KEEP)

    def _merged(self, other: str, clashing: str) -> list[Any]:
        found: list[merging.Merge] = []

        def merge(text: str) -> str:
            found.append(merging.merge(self._list.form, text, other, clashing))
            return found[0].text

        views = self._list.edit(merge, note("Imported."), Choice(), "")
        return [report(found[0]) if found else "", *views]


def _read(path: Path) -> Decoded:
    """Raises UserError when the file cannot be read or is far too large."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"The file '{path.name}' is larger than {_LARGEST / 1e6:g} MB: choose a file of presets.")
        text, encoding = decoded(path.read_bytes())
    except OSError as error:
        raise UserError(f"The file '{path.name}' cannot be read ({error.strerror}).") from None
    return Decoded(text.removeprefix("\ufeff"), encoding)


def report(found: merging.Merge) -> str:
    """Returns what a merge does, as HTML: what is new, what is the same, what clashes, what cannot be taken."""
    clashes = [f"{clash.theirs.key.name}: {_fate(found, clash)} (mine {clash.ours.body}; theirs {clash.theirs.body})"
               for clash in found.clashes]
    rows = (("New", [item.key.name for item in found.added]), ("The same here", [item.key.name for item in found.same]),
            ("Other content", clashes))
    listed = "".join(f"<tr><th>{head}</th><td>{len(names)}</td><td>{escape(', '.join(names))}</td></tr>"
                     for head, names in rows)
    return (f'<div class="tl-scroll"><table>{listed}</table></div>'
            + problems([*found.refused, *(problem.text for problem in found.problems)])
            + (warnings(["There is no entry in this text."]) if not any(len(names) for _, names in rows) else ""))


def _fate(found: merging.Merge, clash: merging.Clash) -> str:
    if found.clashing == merging.BOTH:
        return f"theirs becomes {found.taken_as.get(clash.theirs.key, '-')}"
    return "theirs is taken" if found.clashing == merging.REPLACE else "mine stays"
