"""The tab's queue and its way back into a run that broke off."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_trainer.bootstrap import App
from lib_trainer.training.resume import search
from lib_trainer.ui import resume_part
from lib_trainer.ui.saved_settings import Draft
from lib_trainer.ui.train_tab import NO_GOAL, TrainTab, build


@pytest.fixture
def tab(app: App) -> TrainTab:
    """A tab whose controls are laid out."""
    import gradio as gr

    made = TrainTab(app, [], Draft())
    with gr.Blocks():
        made.lay_out()
    return made


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    folder = tmp_path / "2_zko"
    folder.mkdir()
    for index in range(2):
        Image.new("RGB", (64, 64), (200 * index, 40, 90)).save(folder / f"{index}.png")
    return str(tmp_path)


def values(tab: TrainTab, **changes: Any) -> list[Any]:
    """The form's values in the order of its controls."""
    filled = {**tab.form.defaults(), **changes}
    return [filled[name] for name in tab.form.controls]


def in_form(tab: TrainTab, updates: list[Any]) -> dict[str, Any]:
    return {name: update["value"] for name, update in zip(tab.form.controls, updates, strict=True) if "value" in update}


def wish(tab: TrainTab, word: str, number: int = 0) -> str:
    told, mark = tab._queue.on_wish(json.dumps([word, number, 1]))
    assert mark
    return told


def test_trainings_are_put_in_line_moved_and_trained(app: App, tab: TrainTab, pictures: str) -> None:
    for name in ("a", "b", "c"):
        told, _ = tab.on_enqueue(NO_GOAL, *values(tab, images=pictures, name=name, steps=1, rank=2))
        assert "waits in the queue" in told
    refused, _ = tab.on_enqueue(NO_GOAL, *values(tab, images="", name="<d>", rank=0))
    assert refused.count("tl-error") >= 2 and "<d>" not in refused
    assert "in the queue already" in tab.on_enqueue(NO_GOAL, *values(tab, images=pictures, name="a", steps=1))[0]
    assert [wish(tab, "up", 3), wish(tab, "down", 1), wish(tab, "remove", 2)] == [""] * 3
    assert [entry.name for entry in app.jobs.queue.entries()] == ["c", "a"]
    assert "no training number 9" in wish(tab, "up", 9)
    wish(tab, "start")
    app.jobs.queue.start().join()  # the thread that runs, or one that finds nothing to do
    assert [(entry.name, entry.state) for entry in app.jobs.queue.entries()] == [("c", "done"), ("a", "done")]
    wish(tab, "pause")
    assert not app.jobs.queue.going


def test_a_run_that_broke_off_is_offered_and_goes_on(app: App, tab: TrainTab, pictures: str) -> None:
    assert tab._resume.on_look()[0] == ""
    job = app.jobs.start(tab_config(tab, pictures))
    while not search.all_states(app.host.paths):
        assert job.running
        job.wait_events(10**6, 0.05)
    job.controls.stop()
    job.wait()
    state = search.all_states(app.host.paths)[0]
    offer, button = tab._resume.on_look()
    assert "&lt;" not in offer and "zko" in offer and "/ 20" in offer and button["visible"]
    assert resume_part.choices(app.host.paths)[:3] == ["", "auto", state.name]

    chosen = in_form(tab, tab._resume.on_choose(state.name)[1:])
    assert (chosen["name"], chosen["rank"], chosen["resume"]) == ("zko", 2, state.name)
    assert in_form(tab, tab._resume.on_choose("auto")[1:]) == {}
    assert "no such state" in tab._resume.on_choose("none")[0]

    told, mark, no_offer, _, *updates = tab._resume.on_go_on()
    assert mark
    assert "begun" in told and no_offer == "" and in_form(tab, updates)["resume"] == str(state)
    assert tab._resume.on_look()[0] == ""  # it is being trained
    assert app.jobs.current and app.jobs.current.wait(600)
    events = app.jobs.current.events()
    assert next(event for event in events if event["kind"] == "Started")["step"] > 0
    assert events[-1]["kind"] == "Finished" and events[-1]["step"] == 20
    assert tab._resume.on_look()[0] == ""


def tab_config(tab: TrainTab, pictures: str) -> Any:
    from lib_trainer.training import config_reading

    return config_reading.from_dict({**tab.form.defaults(), "images": pictures, "name": "zko", "epochs": 5, "rank": 2,
                                  "state_every_steps": 1})


def test_the_page_has_a_place_for_both(shared_app: App) -> None:
    made = build(shared_app).get_config_file()
    ids = {component["props"].get("elem_id") for component in made["components"]}
    assert {"train_lora_enqueue", "train_lora_queue_wish", "train_lora_resume", "train_lora_go_on"} <= ids
    assert any('id="train_lora_queue"' in str(component["props"].get("value")) for component in made["components"])


@pytest.mark.parametrize("button", ["generate", "enqueue", "go_on"])
def test_whatever_starts_a_training_wakes_the_run_view(shared_app: App, button: str) -> None:
    made = build(shared_app).get_config_file()
    numbers = {component["props"].get("elem_id"): component["id"] for component in made["components"]}
    answers = [found["outputs"] for found in made["dependencies"]
               if numbers[f"train_lora_{button}"] in {target[0] for target in found["targets"]}]
    assert len(answers) == 1 and numbers["train_lora_pressed"] in answers[0]
