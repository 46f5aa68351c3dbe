"""The form: every setting has a control with a help text, and values travel by name."""
from __future__ import annotations

import gradio as gr
import pytest

from lib_trainer.training import config_reading
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.declare import GROUPS
from lib_trainer.ui.form import FIELDS, Form


@pytest.fixture
def form() -> Form:
    form = Form({"optimizer": ["AdamW", "Lion"], "scheduler": ["constant", "cosine"]})
    with gr.Blocks():
        for group in GROUPS:
            form.add_group(group)
    return form


def test_every_setting_has_one_control_with_label_and_help(form: Form) -> None:
    assert set(form.controls) == set(FIELDS)
    for name, control in form.controls.items():
        assert control.label == FIELDS[name].metadata["label"]
        assert control.info == FIELDS[name].metadata["help"]
        assert control.elem_id == f"train_lora_{name}"


def test_an_untouched_form_is_the_default_config(form: Form) -> None:
    values = [control.value for control in form.inputs]
    assert TrainConfig(**form.read(values)) == TrainConfig()


def test_kinds_of_controls(form: Form) -> None:
    assert isinstance(form.controls["flip"], gr.Checkbox)
    assert isinstance(form.controls["rank"], gr.Number)
    assert isinstance(form.controls["scheduler"], gr.Dropdown)
    assert isinstance(form.controls["optimizer"], gr.Dropdown)
    assert isinstance(form.controls["learning_rate"], gr.Textbox)
    assert form.controls["preview_prompts"].lines > 1


def test_values_are_read_by_name_whatever_the_order_of_the_groups() -> None:
    form = Form({})
    with gr.Blocks():
        form.add("rank")
        form.add("name")
    assert form.read([7, "zko"]) == {"rank": 7, "name": "zko"}


def test_an_emptied_number_box_is_reported_not_defaulted(form: Form) -> None:
    values = {name: control.value for name, control in form.controls.items()}
    values["rank"] = None
    _, faults = config_reading.read(form.read(list(values.values())))
    assert any("Rank" in fault for fault in faults)


def test_updates_touch_only_the_fields_named(form: Form) -> None:
    updates = dict(zip(form.controls, form.updates({"rank": 3}), strict=True))
    assert updates["rank"]["value"] == 3
    assert "value" not in updates["alpha"]
