"""The form of the settings, made from the declarations in `TrainConfig`: a field becomes a control with its help text.

gradio hands values over as a list in the order of the controls. This module is the only place that knows the order: it
turns the list into a dict by field name, and a dict into gradio's list of updates. Everything used here exists alike in
gradio 3.41 and 4.40.
"""
from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.training.config import TrainConfig
from lib_trainer.ui.method_part import class_of

if TYPE_CHECKING:
    from gradio.components import Component

Value = str | int | float | bool | None
"""What a control holds; None = an emptied number box."""

FIELDS: dict[str, dataclasses.Field[Any]] = {field.name: field for field in dataclasses.fields(TrainConfig)}


class Form:
    """The controls of all settings.

    Attributes:
        controls: gradio components by field name, in the order in which they were made.
    """

    def __init__(self, choices: Mapping[str, Sequence[str]]) -> None:
        """Starts an empty form.

        Args:
            choices: words to choose from, by field name, for fields whose words are not part of the declaration; a
                person may write others (a checkpoint that has gone, a sampler of another WebUI), faults are told.
        """
        self.controls: dict[str, Component] = {}
        self._choices = choices

    def add(self, name: str, **changes: str | list[str]) -> None:
        """Makes the control of a field where gradio stands now; `changes` go to the component."""
        field = FIELDS[name]
        custom = {"allow_custom_value": True} if name in self._choices else {}
        choices = self._choices.get(name, field.metadata["choices"])
        self.controls[name] = _control(field, choices, {**changes, **custom})

    def add_group(self, group: str) -> None:
        """Makes the controls of all fields of a group that are not there yet: the usual ones, then a fold per part."""
        parts: dict[str, list[str]] = {"": []}
        for name, field in FIELDS.items():
            if field.metadata["group"] == group and name not in self.controls:
                parts.setdefault(field.metadata["part"], []).append(name)
        self._add_rows(parts.pop(""))
        for part, names in parts.items():
            # What belongs to some methods only is the first thing that a person looks for there.
            of_method = [class_of(part)] if group == "Method" else []
            with gr.Accordion(part, open=bool(of_method), elem_id=fold_id(part), elem_classes=["tl-part", *of_method]):
                self._add_rows(names)

    def _add_rows(self, names: list[str]) -> None:
        """Makes controls, two in a row, tall texts alone."""
        while names:
            alone = FIELDS[names[0]].metadata["lines"] > 1
            with gr.Row():
                for _ in range(min(1 if alone else 2, len(names))):
                    self.add(names.pop(0))

    @property
    def inputs(self) -> list[Component]:
        """All components, as gradio's `inputs` or `outputs`."""
        return list(self.controls.values())

    def read(self, values: Sequence[Value]) -> dict[str, Any]:
        """Returns gradio's values by field name; an emptied number box is an empty text, so that it is reported."""
        return {name: "" if value is None else value for name, value in zip(self.controls, values, strict=True)}

    def updates(self, values: Mapping[str, Any], choices: Mapping[str, Sequence[str]] | None = None) -> list[Any]:
        """Returns gradio's updates: new values (and choices) for the fields named, no change for all others."""
        found: dict[str, dict[str, Any]] = {name: {} for name in self.controls}
        for name, value in values.items():
            found[name]["value"] = value
        for name, words in (choices or {}).items():
            found[name]["choices"] = list(words)
        return [gr.update(**changes) for changes in found.values()]

    @staticmethod
    def defaults() -> dict[str, Any]:
        """Returns the values of an untouched form."""
        return TrainConfig().to_dict()


def fold_id(title: str) -> str:
    """Returns the element id of a fold of settings."""
    return "train_lora_group_" + re.sub(r"\W+", "_", title.lower())


def _control(field: dataclasses.Field[Any], choices: Sequence[str], changes: Mapping[str, Any]) -> Component:
    """Returns the component for a field: check box, drop-down, number or text."""
    data = field.metadata
    common: dict[str, Any] = {
        "value": field.default, "label": data["label"], "info": data["help"], "elem_id": f"train_lora_{field.name}",
        "interactive": True, **changes,
    }
    if field.type == "bool":
        return gr.Checkbox(**common)
    if choices:
        return gr.Dropdown(choices=list(choices), **common)
    if field.type == "int":
        return gr.Number(precision=0, **common)
    if field.type == "float":
        return gr.Number(**common)
    return gr.Textbox(lines=data["lines"], max_lines=20 if data["lines"] > 1 else 1, **common)
