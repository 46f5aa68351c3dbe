"""The block editor in the panel: sliders around a picture of the U-Net, for the LoRA tags of the prompt.

The editor itself is JavaScript (`javascript/train_lora_blocks*.js`) and asks the routes of `api/blocks.py`; the same
one opens as a pop-over on a tag. Here is its place on the page, and the row that keeps the sliders as a preset.
"""
from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import gradio as gr

if TYPE_CHECKING:
    from gradio.components import Component


class BlockEditor:
    """The editor's place in a panel.

    Attributes:
        name: box for the name of a preset to be kept.
        hint: box for its hint line.
        numbers: hidden box in which the page keeps the list of the sliders' numbers.
        save: the button that keeps them; whoever lays out the presets connects it.
    """

    def __init__(self, prefix: str, tab: str = "") -> None:
        """Starts an empty editor.

        Args:
            prefix: begins all element ids.
            tab: name of the page's tab ("img2img"); "" = the only one, txt2img.
        """
        self._prefix = prefix
        self._prompt = f"{tab or 'txt2img'}_prompt"

    def lay_out(self) -> None:
        """Makes the editor's place and the controls that keep a preset."""
        gr.HTML(f'<div id="{escape(self._prefix)}_editor" class="tl-block-editor" '
                f'data-prefix="{escape(self._prefix)}" data-prompt="{escape(self._prompt)}"></div>')
        with gr.Row(elem_classes=["tl-be-keep"]):
            self.name = self._box("Name of a new preset", "name", 2)
            self.hint = self._box("What it is for", "hint", 3)
            self.save = gr.Button("Keep as preset", elem_id=f"{self._prefix}_editor_keep", min_width=120, scale=1)
        self.numbers: Component = gr.Textbox(
            "", elem_id=f"{self._prefix}_editor_numbers", elem_classes=["tl-hidden"], label="Numbers of the sliders")
        self.numbers.do_not_save_to_config = True

    def _box(self, label: str, part: str, scale: int) -> Component:
        box: Component = gr.Textbox("", label=label, placeholder=label, show_label=False, container=False, max_lines=1,
                                    elem_id=f"{self._prefix}_editor_{part}", scale=scale, min_width=110)
        # The WebUIs keep first values of text boxes in ui-config.json.
        box.do_not_save_to_config = True
        return box
