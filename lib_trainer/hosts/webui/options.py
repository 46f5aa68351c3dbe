"""The section of this extension among the settings of a WebUI."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

SECTION = ("train_lora", "Train LoRA")
"""Id and title of the section."""


def add(
    key: str, default: bool | float | str, label: str, help: str, component: Callable[..., Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Puts a setting into our section.

    Args:
        key: its name in config.json, prefixed `lora_trainer_`.
        default: its value until somebody sets it.
        label: short name.
        help: what it does; shown behind the label.
        component: gradio component (class or function); None = the host's choice by the default's type.
        arguments: for the component.
    """
    from modules import shared

    info = shared.OptionInfo(default, label, component, dict(arguments or {}) or None, section=SECTION)
    # Its own text node, without brackets, so that the host's translation table finds the sentence.
    shared.opts.add_option(key, info.html(f" <span class='info'>{escape(help)}</span>"))
