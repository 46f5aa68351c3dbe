"""The train tab's handlers on a real app: start, faults, goals, settings, the dataset card."""
from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from lib_trainer.bootstrap import App
from lib_trainer.training import config_reading, forecast
from lib_trainer.training.goals import GOALS
from lib_trainer.training.settings.declare import GROUPS
from lib_trainer.ui import dataset_card, goal_choice
from lib_trainer.ui.form import FIELDS
from lib_trainer.ui.saved_settings import Draft
from lib_trainer.ui.train_tab import NO_GOAL, TrainTab, build
from tests.ui import pictures


@pytest.fixture
def tab(app: App) -> TrainTab:
    tab = TrainTab(app, app.host.samplers(), Draft("", {"name": "first"}))
    with gr.Blocks():
        tab.lay_out()
    return tab


@dataclass(frozen=True)
class Upload:
    """A file as gradio hands it over: `name` is the path of the upload."""

    name: Path


def values(tab: TrainTab, **changes: Any) -> list[Any]:
    return list({**{name: control.value for name, control in tab.form.controls.items()}, **changes}.values())


def filled(tab: TrainTab, answer: list[Any]) -> dict[str, Any]:
    """The values that an answer puts into the fields: they come last in every answer."""
    updates = answer[-len(tab.form.controls):]
    return {name: update["value"] for name, update in zip(tab.form.controls, updates, strict=True) if "value" in update}


def test_first_screen_is_short_and_everything_else_is_folded(shared_app: App) -> None:
    config = build(shared_app).get_config_file()
    parents: dict[int, list[str]] = {}

    def walk(node: dict[str, Any], above: list[str]) -> None:
        for child in node.get("children") or []:
            parents[child["id"]] = above
            component = next(c for c in config["components"] if c["id"] == child["id"])
            walk(child, [*above, component["type"]])

    walk(config["layout"], [])
    shown = [
        component["props"]["elem_id"] for component in config["components"]
        if component["type"] in ("textbox", "number", "dropdown", "checkbox", "button")
        and "accordion" not in parents[component["id"]] and "tl-hidden" not in component["props"]["elem_classes"]
        and component["props"]["visible"] is not False
        # What only other methods ask for is hidden by the line that says what the method needs.
        and not {"tl-for-prompts"}.intersection(component["props"]["elem_classes"])
    ]
    assert shown == ["train_lora_" + name for name in ("name", "goal", "base_model", "images", "generate", "enqueue")]
    folds = [c["props"]["open"] and "tl-part" not in c["props"]["elem_classes"] for c in config["components"]
             if c["type"] == "accordion"]
    parts = {field.metadata["part"] for field in FIELDS.values()} - {""}
    # buckets, every group but "Start" with what stands folded in it, settings files
    assert len(folds) == len(GROUPS) + 1 + len(parts) and not any(folds)


def test_faults_are_told_together_and_escaped(tab: TrainTab) -> None:
    answer, _ = tab.on_start(
        NO_GOAL, *values(tab, name="<b>", rank=0, learning_rate="abc", images="/no/such <i>folder"))
    assert answer.count('class="tl-note tl-error"') >= 4
    for part in ("&lt;b&gt;", "Rank", "abc", "/no/such &lt;i&gt;folder"):
        assert part in answer
    assert "<i>" not in answer


def test_start_trains_and_a_second_start_is_refused(app: App, tab: TrainTab, tmp_path: Path) -> None:
    settings = values(tab, name="zko", images=str(pictures.folder(tmp_path / "data")), steps=2, rank=2, alpha=1)
    told, mark = tab.on_start(NO_GOAL, *settings)
    assert "Training has begun" in told
    job = app.jobs.current
    assert job is not None
    job.controls.pause()
    try:
        told, second = tab.on_start(NO_GOAL, *settings)
        assert "&#x27;zko&#x27; is being trained" in told and second != mark
    finally:
        job.controls.stop(save=False)
        assert job.wait(120)
    assert job.events()[-1]["kind"] == "Finished"


def test_the_card_shows_counts_captions_and_the_steps_that_follow(tab: TrainTab, tmp_path: Path) -> None:
    folder = str(pictures.folder(tmp_path / "data"))
    _, card, looked = tab.on_touch(None, NO_GOAL, *values(tab, images=folder, epochs=5, batch_size=2))
    assert card.count('<img src="data:image/jpeg;base64,') == 3
    for number, word in ((3, "pictures"), (2, "captions"), (6, "uses per epoch"), (15, "steps")):
        assert f"<b>{number}</b> <small>{word}</small>" in card
    assert "<td>2_zko</td><td>2</td><td>3</td>" in card
    unchanged = tab.on_touch(looked, NO_GOAL, *values(tab, images=folder, epochs=5, batch_size=2))
    assert "value" not in unchanged[1]


def test_a_dataset_file_takes_the_place_of_the_folder(tab: TrainTab, tmp_path: Path) -> None:
    folder = pictures.folder(tmp_path) / "2_zko"
    file = tmp_path / "data.json"
    subsets = [{"image_dir": str(folder), "num_repeats": 3}]
    file.write_text(json.dumps({"datasets": [{"resolution": side, "subsets": subsets} for side in (64, 128)]}))
    _, card, _ = tab.on_touch(None, NO_GOAL, *values(tab, datasets=str(file), epochs=1, batch_size=1))
    count = len(list(folder.glob("*.png")))
    assert f"<b>{2 * 3 * count}</b> <small>steps" in card and card.count("<td>2_zko</td><td>3</td>") == 2
    file.write_text(json.dumps({"datasets": [{"subsets": [{"image_dir": str(folder), "shuffle": True}]}]}))
    _, card, _ = tab.on_touch(None, NO_GOAL, *values(tab, datasets=str(file)))
    assert "datasets[0].subsets[0]: unknown key" in card and "shuffle_caption" in card


def test_what_is_typed_comes_back_after_a_reload(app: App, tab: TrainTab) -> None:
    assert filled(tab, tab.on_restore())["name"] == "first"
    label = GOALS["style"].label
    tab.on_touch(None, label, *values(tab, name="zko", learning_rate="abc"))
    answer = tab.on_restore()
    assert filled(tab, answer)["name"] == "zko" and filled(tab, answer)["learning_rate"] == "abc"
    assert answer[1]["value"] == label


@pytest.mark.parametrize("key", GOALS)
def test_a_goal_changes_its_fields_and_says_why(tab: TrainTab, key: str) -> None:
    answer = tab.on_goal(GOALS[key].label, *values(tab, name="kept", images="my own"))
    assert filled(tab, answer) == GOALS[key].changes
    assert GOALS[key].reason.split("'")[0] in answer[0]


def test_a_goal_takes_back_what_the_one_before_had_filled_in(tab: TrainTab) -> None:
    alone = filled(tab, tab.on_goal(GOALS["style"].label, *values(tab, images="my own")))
    form = dict(zip(tab.form.controls, values(tab, images="my own"), strict=True))
    pairs = {**form, **filled(tab, tab.on_goal(GOALS["copiers"].label, *form.values()))}
    tab.on_touch(None, GOALS["copiers"].label, *pairs.values())
    pairs["batch_size"] = 3  # of the person: it stays
    back = {**pairs, **filled(tab, tab.on_goal(GOALS["style"].label, *pairs.values()))}
    assert back == {**form, **alone, "batch_size": 3}


@pytest.mark.parametrize(("key", "counted"), [
    ("demo", "20 pictures"), ("demo_slider", "4 pairs"), ("demo_copiers", "4 pairs")])
@pytest.mark.parametrize("images", ["", "train", "pairs"])
def test_goals_for_the_sample_dataset_bring_its_folder(shared_app: App, key: str, counted: str, images: str) -> None:
    settings = {"images": str(goal_choice.SAMPLE / images) if images else ""}
    config, _ = config_reading.read({"name": "eyes", **goal_choice.changes(key, "", settings)})
    found = forecast.forecast(config, shared_app.host)
    assert counted in " ".join(re.sub(r"<[^>]*>", "", dataset_card.card(found)).split())


def test_the_sample_prompts_follow_the_goal_and_a_persons_own_stay() -> None:
    def prompts(goal: str, now: str) -> str:
        return str(goal_choice.changes(goal, "", {"images": "", "preview_prompts": now}).get("preview_prompts", now))

    eyes = prompts("demo_slider", goal_choice.PROMPTS["demo"])
    assert "eyes" not in eyes and prompts("demo", eyes) == goal_choice.PROMPTS["demo"]
    assert prompts("demo_slider", "mine") == "mine" and prompts("demo_slider", "") == ""
    assert prompts("style", eyes) == eyes


def test_no_goal_changes_nothing(tab: TrainTab) -> None:
    answer = tab.on_goal(NO_GOAL, *values(tab))
    assert filled(tab, answer) == {} and answer[0] == ""


def test_named_settings_are_saved_loaded_and_reset(tab: TrainTab) -> None:
    choices, note = tab.files.on_save("mine", NO_GOAL, *values(tab, rank=3))
    assert choices["choices"] == ["mine"] and "saved" in note
    assert filled(tab, tab.files.on_load("mine"))["rank"] == 3
    assert filled(tab, tab.files.on_reset()) == tab.form.defaults()
    assert "letters, digits" in tab.files.on_save("a/b", NO_GOAL, *values(tab))[1]
    refused = tab.files.on_load("other")
    assert "other" in refused[0] and filled(tab, refused) == {}
    assert len(refused) == len(tab.files.on_load("mine"))


def test_a_disk_that_refuses_the_draft_is_told(app: App, tab: TrainTab) -> None:
    (app.host.paths.settings / "train").write_text("a file where the folder should be")
    _, card, _ = tab.on_touch(None, NO_GOAL, *values(tab, name="zko"))
    assert "cannot be saved" in card


def test_another_base_is_told_before_start(app: App, tab: TrainTab, checkpoint: Path, tmp_path: Path) -> None:
    line, _, _ = tab.on_touch(None, NO_GOAL, *values(tab))
    assert "Trains on" in line and "<b>tiny.safetensors</b>" in line and "afterwards" not in line
    other = tmp_path / "other.safetensors"
    other.write_bytes(checkpoint.read_bytes())
    line, _, _ = tab.on_touch(None, NO_GOAL, *values(tab, base_model=str(other)))
    assert "<b>other.safetensors</b>" in line
    assert "afterwards this one comes back:</span> <b>tiny.safetensors</b>" in line
    folder = str(pictures.folder(tmp_path / "data"))
    line, card, _ = tab.on_touch(None, NO_GOAL, *values(tab, base_model="no such", images=folder))
    assert "no such" in line and "no such" not in card, "told once"


def test_restore_offers_the_checkpoints_of_the_host(app: App, tab: TrainTab) -> None:
    updates = tab.on_restore()[-len(tab.form.controls):]
    update = dict(zip(tab.form.controls, updates, strict=True))["base_model"]
    assert update["choices"] == ["", *(path.name for path in app.host.checkpoints())]


def test_dropped_files_keep_their_own_names_and_become_the_folder(app: App, tab: TrainTab, tmp_path: Path) -> None:
    source = pictures.folder(tmp_path / "data")
    uploads = [Upload(path) for path in sorted(source.rglob("*")) if path.is_file()]
    own = [f"zko ({number}){Path(upload.name).suffix}" for number, upload in enumerate(uploads)]
    box, told, images, _, card, looked = tab.material.on_drop(
        uploads, json.dumps(["dropped", *own]), *values(tab, resolution="64"))
    folder = app.host.paths.settings / "datasets" / "dropped"
    assert images["value"] == looked["images"] == str(folder) and box is None
    assert sorted(path.name for path in folder.iterdir()) == sorted(own)
    assert not any(Path(upload.name).exists() for upload in uploads), "the uploads are not kept twice"
    assert '<img src="data:image/jpeg;base64,' in card and "tl-note" not in told
    again = tab.material.on_drop([], json.dumps(["dropped", "lost.png"]), *values(tab))
    assert "0 of 1 dropped files arrived" in again[1] and "value" not in again[2]


def test_two_pictures_become_a_pair_of_the_picture_folder(app: App, tab: TrainTab, tmp_path: Path) -> None:
    def uploads() -> list[Upload]:
        made = [Upload(tmp_path / f"upload-{side}.png") for side in "ab"]
        for side, upload in enumerate(made):
            Image.new("RGB", (64, 64), (100 * side, 90, 200)).save(upload.name)
        return made

    facts = json.dumps({"dataset": "eyes", "names": ["face.png", "IMG_2.png"], "captions": ["girl", ""]})
    form = {"method": "addift", "train_text_encoder": False, "resolution": "64"}
    first = tab.material.on_pair(uploads(), facts, *values(tab, after_images="old", **form))
    folder = app.host.paths.settings / "datasets" / "eyes"
    assert sorted(path.name for path in folder.iterdir()) == ["face.png", "face.txt", "face_after.png"]
    assert first[0] is None and "tl-added" in first[1]
    assert (first[2]["value"], first[3]["value"]) == (first[-1]["images"], "") == (str(folder), "")
    card = tab.material.on_pair(uploads(), json.dumps({"dataset": "ignored", "names": ["face.png", "b.png"],
                                              "captions": ["", ""]}), *values(tab, images=str(folder), **form))[-2]
    assert not (folder.parent / "ignored").exists() and (folder / "face-2_after.png").exists()
    assert card.count("tl-couple") == 2 and card.count("<img") == 4 and "pairs of pictures" in card
    (folder / "face_after.png").unlink()
    assert "without the second picture" in tab.on_touch(None, NO_GOAL, *values(tab, images=str(folder), **form))[1]


def test_a_pair_that_is_none_is_told(tab: TrainTab, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    facts = json.dumps({"dataset": "eyes", "names": ["a.png", "b.png"], "captions": ["", ""]})
    told = tab.material.on_pair([Upload(tmp_path / "a.png")], facts, *values(tab))
    assert "1 of 2 pictures arrived" in told[1] and "value" not in told[2]
    assert not (tmp_path / "a.png").exists()


def test_the_buttons_of_a_run_act_and_say_when_there_is_none(app: App, tab: TrainTab, tmp_path: Path) -> None:
    with gr.Blocks() as blocks:
        tab = TrainTab(app, [], Draft())
        tab.lay_out()
    press = {blocks.blocks[function.targets[0][0]].elem_id: function.fn for function in blocks.fns.values()
             if function.targets[0][0] is not None}
    told, mark = press["train_lora_press_pause"]()
    assert "No training is running" in told
    tab.on_start(NO_GOAL, *values(tab, name="zko", images=str(pictures.folder(tmp_path / "data")), steps=2000, rank=1))
    job = app.jobs.running()
    assert press["train_lora_press_pause"]() == ["", f"<b>{int(mark[3:-4]) + 2}</b>"]
    assert job.controls.paused
    press["train_lora_press_continue"]()
    assert not job.controls.paused
    press["train_lora_press_discard"]()
    assert job.wait(120) and job.events()[-1]["file"] == ""
