"""What people set once for the Train LoRA tab inside a WebUI, among the WebUI's own settings.

The tab's JavaScript reads them from the WebUI's `opts` at the moment they matter, so a change acts at once.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from lib_trainer.blocks import presets
from lib_trainer.blocks.layouts import LAYOUTS

SettingRow = tuple[str, Any, str, str, Any, dict[str, Any]]
"""Key, default, label, help, gradio component (None = by the default's type) and its arguments."""

DEFAULT_PRESET = "NCNF"


def rows(folder: Path) -> list[SettingRow]:
    """Returns the settings.

    Args:
        folder: our settings folder, which holds the block presets.
    """
    return [
        ("lora_trainer_prompt_strength", 1.0, "Strength of a finished LoRA in the prompt",
         "What 'Send to txt2img' writes into the tag.", gr.Slider, {"minimum": 0.1, "maximum": 2.0, "step": 0.05}),
        ("lora_trainer_preset", DEFAULT_PRESET, "Block preset offered after a training",
         "Chosen first in the list beside 'again with preset'.", gr.Dropdown, {"choices": preset_names(folder)}),
        ("lora_trainer_esc_stops", True, "Esc stops the training",
         "On the Train LoRA tab, outside of its boxes, as it interrupts a picture; what was learnt is saved.",
         None, {}),
        ("lora_trainer_take_over_block_weights", False, "Take over block weights",
         "Where the LoRA Block Weight extension is installed, too, that one acts; switched on, this one acts and the "
         "script of that one is left out, its files untouched. Press 'Reload UI' after a change.", None, {}),
    ]


def preset_names(folder: Path) -> list[str]:
    """Returns the names of the block presets that fit a Stable Diffusion, in the order of their file."""
    found = presets.read_or_create(folder / presets.SHIPPED.name)
    return list(dict.fromkeys(preset.name for preset in found.entries if len(preset.items) in LAYOUTS))
