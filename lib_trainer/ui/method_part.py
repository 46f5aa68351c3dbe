"""What the page shows of the methods: the line that says what the chosen one needs, and only what belongs to it.

A goal, an import or restored settings change the method as a person does, so everything follows from one event: the
value of the choice has changed. What is shown is a rule of style beside the line: hidden controls stay where they are,
with their values and with what JavaScript has hung on them.
"""
from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.method import NEEDS, PARTS

if TYPE_CHECKING:
    from gradio.components import Component

FOR_PICTURES, FOR_PROMPTS = "tl-for-pictures", "tl-for-prompts"
"""Classes of what is on the first screen for methods that learn from pictures (or pairs), and from prompts."""

_SENTENCES = {
    "pictures": "Learns what pictures show: needs a folder of them, with captions.",
    "pairs": "Learns what is different in pairs: needs two pictures or more, before and after.",
    "prompts": "Learns from prompts alone: needs no pictures.",
}


def class_of(part: str) -> str:
    """Returns the class of a part of the fold "Method"."""
    return "tl-of-" + re.sub(r"\W+", "-", part.lower())


def seen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the form as a person sees it: what is hidden for the method stands at its default.

    Hidden controls keep what was filled in for another method. It does nothing in this one, so it must neither be told
    of as if somebody could mend it, nor be recorded as if somebody had meant it.
    """
    unseen, defaults = hidden(str(settings["method"])), TrainConfig()
    return {name: getattr(defaults, name) if name in unseen else value for name, value in settings.items()}


def kept_aside(named: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for each setting that somebody has named and that is hidden, unless it is its default.

    Args:
        named: by field name. settings: the form.
    """
    method = str(settings["method"])
    unseen = hidden(method)
    return [f"{field.metadata['label']} ({field.name}): does nothing with method = {method} and is hidden; it is there "
            "again with a method that uses it." for field in dataclasses.fields(TrainConfig)
            if field.name in unseen and field.name in named and settings[field.name] != field.default]


def hidden(method: str) -> set[str]:
    """Returns the settings, by field name, whose controls a method hides."""
    if method not in NEEDS:
        return set()
    found = {field.name for field in dataclasses.fields(TrainConfig) if field.metadata["group"] == "Method"
             and field.metadata["part"] and field.metadata["part"] not in PARTS[method]}
    return found | ({"images"} if NEEDS[method] == "prompts" else set())


class MethodPart:
    """The line on the first screen and what it hides."""

    def lay_out(self, method: str) -> None:
        """Makes the line, as it is for a method."""
        self.line = gr.HTML(self.told(method), elem_id="train_lora_needs")

    def connect(self, method: Component, **event: Any) -> None:
        """Has the line follow the choice of the method."""
        method.change(self.told, [method], [self.line], **event)

    @staticmethod
    def told(method: str | None) -> str:
        """Returns the line for a method, with the rule that hides what is for others; of none everything is shown."""
        if method not in NEEDS:
            return ""
        shown = set(PARTS[method])
        hidden = [class_of(part) for part in dict.fromkeys(part for parts in PARTS.values() for part in parts)
                  if part not in shown]
        hidden.append(FOR_PICTURES if NEEDS[method] == "prompts" else FOR_PROMPTS)
        rule = ", ".join(f"#train_lora_tab .{name}" for name in hidden)
        return (f'<style>{rule} {{ display: none !important; }}</style><p><small>Method</small> '
                f"<b>{escape(method)}</b> <small>{_SENTENCES[NEEDS[method]]}</small></p>")
