"""The line of the methods: what the chosen one needs, and what of the page is hidden for it."""
from __future__ import annotations

import re

import gradio as gr
import pytest

from lib_trainer.bootstrap import App
from lib_trainer.training.checks import unused
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.method import METHODS, NEEDS, PARTS
from lib_trainer.ui import method_part
from lib_trainer.ui.form import FIELDS
from lib_trainer.ui.method_part import FOR_PICTURES, FOR_PROMPTS, MethodPart, class_of
from lib_trainer.ui.train_tab import build


def hidden(method: str) -> set[str]:
    """Returns the classes that the rule of a method hides."""
    rule = re.search(r"<style>(.*?)\{ display: none !important; \}</style>", MethodPart.told(method))
    assert rule
    return set(re.findall(r"#train_lora_tab \.([\w-]+)", rule[1]))


@pytest.mark.parametrize("method", METHODS)
def test_only_the_parts_of_the_method_are_shown(method: str) -> None:
    every = {part for parts in PARTS.values() for part in parts}
    shown = {part for part in every if class_of(part) not in hidden(method)}
    assert shown == set(PARTS[method])
    assert (FOR_PICTURES in hidden(method)) == (NEEDS[method] == "prompts") != (FOR_PROMPTS in hidden(method))


def test_every_part_and_every_method_is_on_the_page(shared_app: App) -> None:
    config = build(shared_app).get_config_file()
    folds = {c["props"]["label"]: c["props"].get("elem_classes")
             for c in config["components"] if c["type"] == "accordion"}
    parts = {field.metadata["part"] for field in FIELDS.values() if field.metadata["group"] == "Method"} - {""}
    assert parts == {part for shown in PARTS.values() for part in shown}
    assert all(class_of(part) in folds[part] for part in parts)
    line = next(c for c in config["components"] if c["props"].get("elem_id") == "train_lora_needs")
    assert "Learns what pictures show" in line["props"]["value"]


def test_a_choice_that_is_none_hides_nothing() -> None:
    assert MethodPart.told(None) == MethodPart.told("?") == ""


def test_whatever_sets_the_method_changes_the_line() -> None:
    """A goal, an import and restored settings set the value; gradio tells of that as of a person's choice."""
    with gr.Blocks() as page:
        part, method = MethodPart(), gr.Dropdown(list(METHODS), value="lora")
        part.lay_out("lora")
        part.connect(method)
    events = [entry for entry in page.get_config_file()["dependencies"] if part.line._id in entry["outputs"]]
    assert len(events) == 1 and method._id in events[0]["inputs"]
    assert "change" in str(events[0]["targets"])


def test_what_a_person_cannot_see_is_neither_used_nor_complained_of() -> None:
    form = {**TrainConfig().to_dict(), "method": "leco", "images": "/mine", "after_suffix": "_b", "concepts": "hat"}
    shown = method_part.seen(form)
    assert (shown["images"], shown["after_suffix"], shown["concepts"]) == ("", "_after", "hat")
    assert not unused.told(TrainConfig(**shown))
    assert method_part.seen({**form, "method": "lora"})["images"] == "/mine"
    assert method_part.seen({**form, "method": "?"}) == {**form, "method": "?"}  # nothing is hidden of none
    [told] = method_part.kept_aside({"images", "concepts", "copier_way"}, form)
    assert told.startswith("Picture folder (images): does nothing with method = leco and is hidden")
