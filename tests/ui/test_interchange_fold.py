"""Import and export in the tab, without a browser: what reaches the form, what is told, what is written."""
from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from lib_trainer.bootstrap import App
from lib_trainer.lora import file
from lib_trainer.training.interchange.imported import DATASET, FORMATS, OURS
from lib_trainer.ui.saved_settings import Draft
from lib_trainer.ui.train_tab import TrainTab
from tests.ui.test_train_tab import Upload, filled, values


@pytest.fixture
def tab(app: App) -> TrainTab:
    tab = TrainTab(app, app.host.samplers(), Draft())
    with gr.Blocks():
        tab.lay_out()
    return tab


def fold(tab: TrainTab) -> Any:
    return tab.files._interchange


def test_pasted_settings_fill_the_form(tab: TrainTab) -> None:
    text = "train_network.py --network_dim 8 --vae x.pt --lr_warmup_steps 9"
    answer = fold(tab).on_text(text, *values(tab, images="/mine", rank=99, keep_tokens=3))
    form = filled(tab, answer)
    assert (form["rank"], form["alpha"], form["keep_tokens"]) == (8, 1.0, 0)  # what it does not say is as it was there
    assert form["images"] == "/mine"  # a folder that nobody named stays
    assert "<b>Command line</b>" in answer[0] and "tl-error" in answer[0] and "vae = &#x27;x.pt&#x27;" in answer[0]


def test_an_import_is_there_after_a_reload(tab: TrainTab) -> None:
    """Though nothing of the form was touched since."""
    form = filled(tab, fold(tab).on_text("train_network.py --network_dim 8", *values(tab, images="/mine")))
    assert form["rank"] == 8 and filled(tab, tab.on_restore()) == form
    tab.files.on_reset()
    assert filled(tab, tab.on_restore()) == tab.form.defaults()


def test_an_import_that_cannot_be_kept_is_told(tab: TrainTab, app: App) -> None:
    (app.host.paths.settings / "train").mkdir(parents=True)
    (app.host.paths.settings / "train" / "last.json").mkdir()
    answer = fold(tab).on_text("train_network.py --network_dim 8", *values(tab))
    assert filled(tab, answer)["rank"] == 8 and "last.json" in str(answer)


def test_a_dropped_file_leaves_the_box_empty(tab: TrainTab, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"name": "mine", "rank": 5, "alpha": "many"}', "utf8")
    answer = fold(tab).on_file(Upload(path), *values(tab))
    assert answer[0] is None and filled(tab, answer)["rank"] == 5
    assert "alpha = &#x27;many&#x27;" in answer[1]


def test_a_lora_changes_only_what_it_records(tab: TrainTab, app: App) -> None:
    path = app.host.paths.loras / "old.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path, {"a.alpha": torch.tensor(1.0)}, {"ss_network_dim": "7"}, overwrite=True)
    assert "old" in fold(tab).choices()["choices"]
    form = filled(tab, fold(tab).on_lora("old", *values(tab, images="/mine", name="new", preview_prompts="zko")))
    assert (form["rank"], form["images"], form["name"], form["preview_prompts"]) == (7, "/mine", "new", "zko")
    refused = fold(tab).on_lora("../old", *values(tab))
    assert "There is no LoRA" in refused[0] and filled(tab, refused) == {}


def test_what_is_no_settings_changes_nothing(tab: TrainTab) -> None:
    answer = fold(tab).on_text("hello", *values(tab))
    assert "is nothing that is understood" in answer[0] and filled(tab, answer) == {}


@pytest.mark.parametrize("label", FORMATS.values())
def test_the_form_is_written(tab: TrainTab, label: str) -> None:
    answer = fold(tab).on_export(label, "PowerShell", *values(tab, name="zunko", ema_decay=0.9))
    link = re.search(r'download="([\w.-]+)" href="data:[\w/-]+;base64,([\w+/=]+)"', answer)
    assert link and link[1].startswith("zunko")
    assert base64.b64decode(link[2]).decode("utf8").strip()
    assert ("ema_decay = 0.9" in answer) == (label not in (FORMATS[OURS], FORMATS[DATASET]))


def test_faults_of_the_form_come_first(tab: TrainTab) -> None:
    answer = fold(tab).on_export(next(iter(FORMATS.values())), "bash", *values(tab, rank=0))
    assert "tl-error" in answer and "download" not in answer


def test_what_an_imported_file_says_for_another_method_is_told_once(tab: TrainTab) -> None:
    text = '{"method": "leco", "concepts": "hat", "images": "/pictures"}'
    answer = fold(tab).on_text(text, *values(tab))
    assert "Means nothing here" in answer[0] and "Picture folder (images): does nothing with method = leco" in answer[0]
    assert filled(tab, answer)["images"] == "/pictures"  # for when another method is chosen
    assert "Picture folder (images)" not in "".join(str(one) for one in answer[1:])
