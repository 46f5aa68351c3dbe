"""Bake: a LoRA of the prompt, with its block weights, as a new file that needs none.

The new LoRA does at strength 1 what the tag did. The file goes into the host's LoRA folder and is there for the next
prompt; the LoRA that it was made from is never touched.
"""
from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.blocks import tags
from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.lora import file as lora_file
from lib_trainer.lora import keys
from lib_trainer.lora.finding import find_lora, name_faults
from lib_trainer.ui.notes import problems_of, warnings

if TYPE_CHECKING:
    from gradio.components import Component

    from lib_trainer.lora import baked_file

_INTRO = ('<p class="tl-quiet"><span>Writes a LoRA with its strength and block weights into a new file, which does the '
          "same at strength 1. Steps (start, stop) cannot be written.</span></p>")
_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}


class BakePanel:
    """The controls."""

    def __init__(self, host: Host, prefix: str) -> None:
        """Starts empty.

        Args:
            host: whose LoRA folder and presets are used.
            prefix: begins all element ids.
        """
        self._host = host
        self._prefix = f"{prefix}_bake"

    def lay_out(self, prompt: Component | None) -> None:
        """Makes the controls; `prompt` is the prompt's text box, if it is on this page."""
        with gr.Accordion("Bake into a file", open=False, elem_id=self._prefix):
            gr.HTML(_INTRO)
            self.tag = gr.Dropdown(
                [], label="LoRA tag", allow_custom_value=True, elem_id=f"{self._prefix}_tag",
                info="One of the prompt's, or written here: <lora:name:0.8:NCNF>. Empty: the prompt's first.")
            with gr.Row():
                self.name = gr.Textbox(
                    "", label="Name of the new LoRA", max_lines=1, elem_id=f"{self._prefix}_name", scale=3,
                    info="Empty: the LoRA's name with that of the preset.")
                self.seed = gr.Number(
                    0, precision=0, label="Seed", elem_id=f"{self._prefix}_seed", scale=1, min_width=120,
                    info="For R and U only.")
            self.button = gr.Button("Bake", elem_id=f"{self._prefix}_button")
            self.state = gr.HTML("", elem_id=f"{self._prefix}_state")
        for component in (self.tag, self.name, self.seed):
            # The WebUIs keep first values in ui-config.json and would show a prompt of long ago.
            component.do_not_save_to_config = True
        inputs = [self.tag, self.name, self.seed]
        if prompt is None:
            self.button.click(self.on_bake, inputs, [self.state], queue=False, api_name=False)
        else:
            self.tag.focus(self.on_look, [self.tag, prompt], [self.tag], **_QUIET)
            self.button.click(self.on_bake, [*inputs, prompt], [self.state], queue=False, api_name=False)

    def on_look(self, chosen: str | None, prompt: str) -> dict[str, Any]:
        """Lists the prompt's tags as they are now."""
        return gr.update(choices=[tag.text for tag in tags.split(prompt or "")[1] if tag.is_lora], value=chosen)

    def on_bake(self, tag: str | None, name: str, seed: float | None, prompt: str = "") -> str:
        """Writes the new LoRA and tells what it holds."""
        try:
            result = self._bake((tag or "").strip(), (name or "").strip(), int(seed or 0), prompt or "")
        except UserError as error:
            return problems_of(error)
        self._host.lora_saved(result.path)
        told = f'{result.in_words()} <lora:{result.path.stem}:1>'
        return f'<div class="tl-note">{escape(told)}</div>{warnings(result.notes)}'

    def _bake(self, text: str, name: str, seed: int, prompt: str) -> baked_file.Result:
        from lib_trainer.lora import baked_file  # needs torch, which the page is built without

        tag = _tag(text, prompt)
        path = find_lora(tag.name, self._host)
        if path is None:
            raise UserError(f"There is no LoRA '{tag.name}' in '{self._host.paths.loras}'. Check the name in the tag.")
        name = name or _default_name(path, tag)
        faults = list(name_faults(name, f"The name {name!r}"))
        if faults:
            raise Problems(faults)
        header, metadata = lora_file.read_header(path)
        family = keys.family({tensor: shape for tensor, (_, shape) in header.items()}, metadata)
        order = baked_file.Order(
            path, tag.text, self._host.presets(), self._host.elements(), arch="" if family else self._arch(),
            seed=seed, base=self._base(family))
        return baked_file.write(order, self._host.paths.loras / f"{name}.safetensors")

    def _arch(self) -> str:
        """The loaded checkpoint's architecture, for a LoRA that does not tell its own."""
        return self._host.checkpoint().family.arch

    def _base(self, family: str | None) -> Path | None:
        """The loaded checkpoint's file, where the LoRA is for its family; without it some kinds cannot be weighted."""
        try:
            checkpoint = self._host.checkpoint()
        except UserError:
            return None
        return checkpoint.path if family in (None, checkpoint.family.name) else None


def _tag(text: str, prompt: str) -> tags.Tag:
    """Returns the tag to bake: the one written or chosen, else the prompt's first.

    Raises:
        UserError: there is none.
    """
    if text and not text.startswith("<"):
        text = f"<lora:{text}>"
    found = [tag for tag in tags.split(text or prompt)[1] if tag.is_lora and tag.name]
    if not found:
        raise UserError(f"'{text}' is no LoRA tag: write <lora:name:0.8:NCNF>." if text else
                        "The prompt has no LoRA tag: write one there or here, such as <lora:name:0.8:NCNF>.")
    return found[0]


def _default_name(path: Path, tag: tags.Tag) -> str:
    """Returns the LoRA's name with what the tag says in letters that a file name may have."""
    said = re.sub(r"[^\w.@+-]+", "_", tag.text.strip("<>").partition(":")[2].partition(":")[2]).strip("_.")
    return f"{path.stem}-{said[:60] or 'baked'}"
