"""Import and export in the tab: settings of other programs fill the form, and the form is written for them.

What became of every line is told beside the button: what contradicts itself, what cannot be had here, what is otherwise
here, which defaults of the other program were taken.
"""
from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr

from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.training import config_reading, config_values
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange.imported import FORMATS, HEADS, KINDS, SD_SCRIPTS, Imported
from lib_trainer.training.interchange.shell import ENDINGS
from lib_trainer.ui import notes
from lib_trainer.ui.form import Form, Value
from lib_trainer.ui.method_part import kept_aside, seen
from lib_trainer.ui.saved_settings import Draft

if TYPE_CHECKING:
    from gradio.components import Component


class _Upload(Protocol):
    """What gradio 3 hands over for a file; gradio 4 hands over a text with the same attribute."""

    name: str


_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}

_STAYS = ("images", "base_model", "name", "output_folder")
"""Fields that stay as the person has them where an import says nothing of them."""


class InterchangeFold:
    """The controls of import and export."""

    def __init__(self, host: Host, form: Form, fill: Callable[[Draft], list[Any]]) -> None:
        """Imports into `form` through `fill`, which returns the updates of the whole tab."""
        self._host, self._form, self._fill = host, form, fill

    def lay_out(self) -> None:
        """Makes the controls."""
        self.text = gr.Textbox(
            label="Settings of another program", lines=5, max_lines=20, elem_id="train_lora_import_text",
            info="Paste an sd-scripts settings file, kohya_ss settings, or the command that trains.",
        )
        self.take_text = gr.Button("Fill in the form", elem_id="train_lora_import")
        self.file = gr.File(label="... or drop a file (.toml, .json, .safetensors)", elem_id="train_lora_import_file")
        self.lora = gr.Dropdown(  # listed when a page is opened: a start does not wait for the folder
            [], label="Train again like this LoRA", interactive=True,
            info="Takes the settings that a LoRA has recorded.", elem_id="train_lora_import_lora",
        )
        self.told = gr.HTML("", elem_id="train_lora_import_told")
        with gr.Row():
            self.kind = gr.Dropdown(
                list(FORMATS.values()), value=FORMATS[SD_SCRIPTS], label="Write these settings for",
                interactive=True, elem_id="train_lora_export_kind",
            )
            self.shell = gr.Dropdown(list(ENDINGS), value=next(iter(ENDINGS)), label="Shell of the command line",
                                     interactive=True, elem_id="train_lora_export_shell")
        self.export = gr.Button("Write", elem_id="train_lora_export")
        self.written = gr.HTML("", elem_id="train_lora_exported")

    def connect(self, everything: list[Component]) -> None:
        """Connects the controls; `everything` is what `fill` updates."""
        into = [self.told, *everything]
        self._width = len(everything)
        self.take_text.click(self.on_text, [self.text, *self._form.inputs], into, **_QUIET)
        self.file.upload(self.on_file, [self.file, *self._form.inputs], [self.file, *into], **_QUIET)
        self.lora.input(self.on_lora, [self.lora, *self._form.inputs], into, **_QUIET)
        self.export.click(self.on_export, [self.kind, self.shell, *self._form.inputs], [self.written], **_QUIET)

    def choices(self) -> dict[str, Any]:
        """Returns gradio's update of the list of LoRAs."""
        update: dict[str, Any] = gr.update(choices=self._loras())
        return update

    def _loras(self) -> list[str]:
        folder = self._host.paths.loras
        return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.safetensors"))

    def on_text(self, text: str, *values: Value) -> list[Any]:
        """Fills the form with pasted settings."""
        from lib_trainer.training.interchange import reading

        return self._taken(lambda: reading.read_text(text), values)

    def on_file(self, file: _Upload | str, *values: Value) -> list[Any]:
        """Fills the form with the settings in a file."""
        from lib_trainer.training.interchange import reading

        path = Path(file.name if hasattr(file, "name") else file)
        return [None, *self._taken(lambda: reading.read_upload(path), values)]

    def on_lora(self, name: str | None, *values: Value) -> list[Any]:
        """Fills the form with what a LoRA has recorded."""
        from lib_trainer.training.interchange import reading

        if name not in self._loras():
            return [notes.problems([f"There is no LoRA {name!r}: choose from the list."]),
                    *(gr.update() for _ in range(self._width))]
        return self._taken(lambda: reading.of_lora(self._host.paths.loras / f"{name}.safetensors"), values)

    def _taken(self, read: Callable[[], Imported], values: Sequence[Value]) -> list[Any]:
        try:
            imported = read()
        except UserError as error:
            return [notes.problems_of(error), *(gr.update() for _ in range(self._width))]
        filled, faults = filled_in(imported, self._form.read(values))
        imported.needless.extend(kept_aside(imported.values, filled))
        return [told(imported, faults), *self._fill(Draft(values=filled))]

    def on_export(self, label: str, shell: str, *values: Value) -> str:
        """Writes the form for another program; returns the text, with what cannot be said there."""
        from lib_trainer.training import base as bases
        from lib_trainer.training.interchange.exporting import export

        kind = next(kind for kind, name in FORMATS.items() if name == label)
        config, faults = config_reading.read(seen(self._form.read(values)))
        try:
            if faults:
                raise Problems(faults)
            checkpoint = self._host.checkpoint(bases.find(config.base_model, self._host))
            done = export(config, kind, checkpoint.family.name == "sdxl", shell)
        except UserError as error:
            return notes.problems_of(error)
        name = (config.name or "settings") + ("-dataset" if kind == "dataset" else "") + done.suffix
        content = base64.b64encode(done.text.encode("utf8")).decode("ascii")
        link = (f'<p><a class="tl-button tl-primary" download="{escape(name, quote=True)}" '
                f'href="data:application/octet-stream;base64,{content}">{escape(name)}</a></p>')
        return link + lost(done.lost) + f'<pre class="tl-text" tabindex="0">{escape(done.text)}</pre>'


def filled_in(imported: Imported, now: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns the values for the form, and one sentence per value that cannot be one.

    Args:
        imported: what was read.
        now: the form as it is: what the import cannot say stays.
    """
    fields = dataclasses.fields(TrainConfig)
    values, faults, _ = config_values.read(fields, imported.values)
    stays = {name: now[name] for name in _STAYS if not values.get(name)}
    if imported.is_partial:
        stays = {name: value for name, value in now.items() if name not in values}
    return {**Form.defaults(), **values, **stays}, faults


def told(imported: Imported, faults: Sequence[str]) -> str:
    """Returns what became of an import, as HTML."""
    head = (f'<div class="tl-note"><span>Read as</span>: <b>{escape(KINDS[imported.kind])}</b>. '
            "<span>The form is filled in.</span></div>")
    lists = "".join(
        _folded(label, imported.told()[name], "tl-warn" if name == "unsupported" else "", is_open=name == "unsupported")
        for name, label in HEADS.items()
    )
    return head + notes.problems([*imported.problems, *faults]) + lists


def lost(sentences: Sequence[str]) -> str:
    """Returns what an export could not say, as HTML."""
    return _folded("Cannot be said there", sentences, "tl-warn", is_open=True)


def _folded(label: str, sentences: Sequence[str], style: str, is_open: bool) -> str:
    """Returns a list under a head that opens it; nothing of nothing."""
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return (f'<details class="tl-note {style}"{" open" if is_open else ""}><summary><span>{escape(label)}</span> '
            f"({len(sentences)})</summary><ul>{items}</ul></details>")
