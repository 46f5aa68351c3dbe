"""The Block Weight panel where the LoRA Block Weight extension acts in our place."""
from __future__ import annotations

import gradio as gr

from lib_trainer.ui.notes import note


def lay_out(tab: str) -> None:
    """Makes a panel that says who acts, and how to change it.

    Args:
        tab: name of the page's tab; part of all element ids.
    """
    with gr.Accordion("Block weights", open=False, elem_id=f"{tab}_block_weight_panel", elem_classes=["tl"]):
        gr.HTML(_who_acts(), elem_id=f"{tab}_block_weight_aside")


def _who_acts() -> str:
    return (note("LoRA Block Weight is installed, too: that extension gives LoRAs their block weights here.")
            + note("To have this one act: switch on 'Take over block weights' in its settings, then 'Reload UI'."))
