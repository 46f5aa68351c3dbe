"""The Block Weight panel under txt2img: the presets, their text to edit, and what the prompt does to the blocks.

The text is the presets file itself, so what is saved here is found by every tool that reads `lbwpresets.txt`. Nothing
is switched on here: a tag such as `<lora:name:0.8:NCNF>` in the prompt is all it takes.
"""
from __future__ import annotations

import contextlib
import inspect
import os
import shutil
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.context import Context

from lib_trainer.blocks import explain, layers, layouts, presets, tags
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.lora import file as lora_file
from lib_trainer.training import check
from lib_trainer.ui.notes import note, problems, problems_of, warnings

if TYPE_CHECKING:
    from gradio.components import Component

_INTRO = """<p class="tl-quiet">
<span>Write a preset's name or a list of 12, 17, 20 or 26 numbers behind the strength:</span>
<code>&lt;lora:name:0.8:NCNF&gt;</code></p>"""


_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}


class BlockWeightPanel:
    """The panel's controls."""

    def __init__(self, host: Host, tab: str = "") -> None:
        """Starts an empty panel.

        Args:
            host: whose presets and LoRAs are shown.
            tab: name of the page's tab where there is a panel under several; part of all element ids.
        """
        self._host = host
        self._prefix = f"{tab}_block_weight" if tab else "block_weight"
        self._file = host.paths.settings / presets.SHIPPED.name

    def lay_out(self, prompt: Component | None) -> None:
        """Makes the controls; `prompt` is the prompt's text box, explained as it is typed, if it is on this page."""
        with gr.Accordion("Block weights", open=False, elem_id=self._id("panel"), elem_classes=["tl"]):
            gr.HTML(_INTRO)
            self.explained = gr.HTML(self.on_explain(""), elem_id=self._id("explained"))
            with gr.Accordion("Presets", open=False, elem_id=self._id("presets")):
                self._lay_out_presets(prompt)
        if prompt is not None:
            asked = {"fn": self.on_explain, "inputs": [prompt], "outputs": [self.explained], **_QUIET}
            prompt.change(**asked, **_of_this_gradio(prompt))
            # gradio 3 drops what is typed while an answer is under way, the last letters too.
            prompt.blur(**asked)

    def _lay_out_presets(self, prompt: Component | None) -> None:
        self.table = gr.HTML(self._table(), elem_id=self._id("table"))
        self.text = gr.Textbox(
            self._text(), lines=14, max_lines=14, label="Presets file", elem_id=self._id("text"),
            info="One preset a line: NAME:1,0.5,... with 12, 17, 20 or 26 numbers. All else is a comment.",
        )
        # The WebUIs keep first values of text boxes in ui-config.json and would show a text of long ago.
        self.text.do_not_save_to_config = True
        with gr.Row():
            save = gr.Button("Save presets", elem_id=self._id("save"))
            reload = gr.Button("Read the file again", elem_id=self._id("reload"))
        self.state = gr.HTML("", elem_id=self._id("state"))
        if prompt is None:
            save.click(lambda text: self.on_save(text, "")[:2], [self.text], [self.table, self.state], **_QUIET)
        else:
            save.click(self.on_save, [self.text, prompt], [self.table, self.state, self.explained], **_QUIET)
        reload.click(self.on_reload, None, [self.text, self.table, self.state], **_QUIET)

    def _id(self, part: str) -> str:
        return f"{self._prefix}_{part}"

    def on_save(self, text: str, prompt: str) -> list[str]:
        """Writes the presets file, keeping the one before as `.bak`, and tells what is wrong with it."""
        try:
            save_text(self._file, text)
        except UserError as error:
            return [self._table(), problems_of(error), self.on_explain(prompt)]
        return [self._table(), note("Saved. The text before is kept beside it as .bak.") + self._faults(),
                self.on_explain(prompt)]

    def on_reload(self) -> list[str]:
        """Shows the presets file as it is now."""
        return [self._text(), self._table(), self._faults()]

    def on_explain(self, prompt: str) -> str:
        """Returns a table of what the prompt's tags do, block by block."""
        if not any(tag.is_lora for tag in tags.split(prompt or "")[1]):
            return '<p class="tl-quiet">No LoRA tag in the prompt.</p>'
        try:
            arch = self._host.checkpoint().family.arch
            known, sentences = self._layers(prompt)
            answer = explain.explain(prompt, arch, known, self._host.presets())
        except UserError as error:
            return problems_of(error)
        rows = "".join(_row(name, by_layer, arch) for name, by_layer in answer["loras"].items())
        told = [*sentences, *answer["errors"]]
        return f'<div class="tl-explain">{rows}</div>{problems(told)}{warnings(answer["warnings"])}'

    def _layers(self, prompt: str) -> tuple[dict[str, list[str]], list[str]]:
        """Returns the layers of the prompt's LoRAs, and what is wrong with their files."""
        known: dict[str, list[str]] = {}
        sentences: list[str] = []
        for tag in tags.split(prompt)[1]:
            path = check.find_lora(tag.name, self._host) if tag.is_lora and tag.name else None
            if path is not None:
                try:
                    known[tag.name] = layers.layer_names(lora_file.read_header(path)[0])
                except UserError as error:
                    sentences.append(str(error))
        return known, sentences

    def _text(self) -> str:
        try:
            return self._host.presets().text
        except UserError:
            return ""

    def _table(self) -> str:
        try:
            entries = self._host.presets().entries
        except UserError as error:
            return problems_of(error)
        rows = "".join(
            f"<tr><td><code>{escape(preset.name)}</code></td><td>{len(preset.items)}</td>"
            f"<td class='tl-numbers'>{_cells(preset.items)}</td></tr>" for preset in entries
        )
        return ('<div class="tl-scroll"><table><tr><th>Name</th><th>Numbers</th><th>Weights of the blocks</th></tr>'
                f"{rows}</table></div>")

    def _faults(self) -> str:
        return problems([f"{problem.line}: {problem.text}" for problem in self._host.presets().problems])


def save_text(path: Path, text: str) -> None:
    """Writes a text whole or not at all; the file before is kept as `path` + `.bak`.

    Raises:
        UserError: the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.copyfile(path, path.with_name(path.name + ".bak"))
        temporary.write_text(text, encoding="utf8")
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UserError(
            f"The presets cannot be written to {path} ({error.strerror}): make room or check rights.") from None


def on_this_page(component: object | None) -> Component | None:
    """Returns the component if it is part of the page that is being built, else None.

    A WebUI that serves its API builds the scripts' panels once more, on an empty page, for their first values.
    """
    page = Context.root_block
    return page.blocks.get(getattr(component, "_id", None)) if page is not None else None


def _of_this_gradio(prompt: Component) -> dict[str, Any]:
    """Says that only the last of several changes need be answered, where gradio knows how (not AUTOMATIC1111's)."""
    known = inspect.signature(prompt.change).parameters
    return {"trigger_mode": "always_last"} if "trigger_mode" in known else {}


def _cells(items: Sequence[str]) -> str:
    """Returns the numbers of a preset as a row of small cells under their blocks' names."""
    names = layouts.LAYOUTS.get(len(items), tuple(str(i) for i in range(len(items))))
    return "".join(_cell(name, item) for name, item in zip(names, items, strict=True))


def _cell(block: str, text: str) -> str:
    """A cell whose strength of colour is the number's."""
    try:
        strength = min(1.0, abs(float(text)))
    except ValueError:
        strength = 0.5
    shown = escape(text)
    return f'<i style="--tl-strength:{strength:.2f}" title="{block}: {shown}"><small>{block}</small>{shown}</i>'


def _row(name: str, by_layer: Mapping[str, float], arch: str) -> str:
    """Returns the multipliers of one LoRA by block; layers that lie in no block stand last."""
    found: dict[str, list[float]] = {}
    for layer, multiplier in by_layer.items():
        found.setdefault(layers.block_of(layer, arch) or "-", []).append(multiplier)
    order = [block for block in (*layouts.ARCH_BLOCKS[arch], "-") if block in found]
    cells = "".join(_cell(block, _range(found[block])) for block in order)
    return f"<div><code>{escape(name)}</code> <span class='tl-numbers'>{cells}</span></div>"


def _range(values: Sequence[float]) -> str:
    least, greatest = min(values), max(values)
    return f"{least:.3g}" if least == greatest else f"{least:.3g}..{greatest:.3g}"
