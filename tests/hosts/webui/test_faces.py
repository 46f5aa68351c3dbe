"""The tab's script in a WebUI: callbacks, the tab built twice, the settings, the routes with and without the API."""
from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from lib_trainer import bootstrap
from tests.hosts.webui.conftest import Person

ROOT = Path(__file__).resolve().parents[3]
PERSON = {"username": "zunko", "password": "edamame"}


@pytest.fixture
def callbacks(person: Person) -> Iterator[dict[str, Any]]:
    """What the script has registered, by the callback's name."""
    from modules import script_callbacks

    script_callbacks.callback_map.clear()
    bootstrap.webui.cache_clear()
    runpy.run_path(str(ROOT / "scripts" / "train_lora.py"))
    yield {kind: only for kind, (only,) in script_callbacks.callback_map.items()}
    bootstrap.webui.cache_clear()


def client(callbacks: dict[str, Any], accounts: list[tuple[str, str]] | None = None, **flags: Any) -> TestClient:
    """A client of the page as a WebUI started with these flags serves it."""
    from modules.shared import cmd_opts

    vars(cmd_opts).update(flags)
    with gr.Blocks() as blocks:
        gr.Button("x")
    blocks.auth, blocks.auth_message = accounts, None
    web = gr.routes.App.create_app(blocks)
    callbacks["app_started"](blocks, web)
    return TestClient(web)


def ask(client: TestClient, **options: Any) -> dict[str, int]:
    """The statuses of a route that only reads for the page, of one that reads, and of one that acts."""
    return {route: client.request(method, "/lora-trainer/v1/" + route, **options).status_code
            for method, route in (("GET", "events"), ("GET", "jobs"), ("POST", "stop"))}


def test_the_tab_is_built_as_often_as_the_host_asks(callbacks: dict[str, Any]) -> None:
    for _ in range(2):
        tabs = callbacks["ui_tabs"]()
        assert [tab[1:] for tab in tabs] == [("Train LoRA", "train_lora"), ("LoRA Workbench", "lora_workbench")]
        with gr.Blocks(), gr.Tabs():
            for blocks, title, elem_id in tabs:
                with gr.Tab(title, id=elem_id, elem_id="tab_" + elem_id):
                    blocks.render()
        components = [component for blocks, _, _ in tabs for component in blocks.blocks.values()]
        ids = [component.elem_id for component in components if component.elem_id]
        assert len(ids) == len(set(ids))
        assert {"train_lora_generate", "train_lora_interrupt", "lora_workbench_tab"} <= set(ids)
        assert all(component.do_not_save_to_config for component in components)


def test_the_tab_names_the_hosts_checkpoints(callbacks: dict[str, Any], person: Person) -> None:
    (blocks, _, _), _ = callbacks["ui_tabs"]()
    base = next(component for component in blocks.blocks.values() if component.elem_id == "train_lora_base_model")
    assert [value for _, value in base.choices] == ["", *sorted(path.name for path in person.files)]


def test_settings_stand_in_one_section(callbacks: dict[str, Any]) -> None:
    from modules.shared import opts

    before = set(opts.data_labels)
    callbacks["ui_settings"]()
    ours = {key: info for key, info in opts.data_labels.items() if key not in before}
    assert set(ours) == {"lora_trainer_prompt_strength", "lora_trainer_preset", "lora_trainer_esc_stops",
                         "lora_trainer_take_over_block_weights"}
    assert {info.section for info in ours.values()} == {("train_lora", "Train LoRA")}
    assert all(info.label and "<span class='info'>" in info.comment_after for info in ours.values())
    assert "NCNF" in ours["lora_trainer_preset"].component_args["choices"]


def test_without_the_api_only_the_page_may_read(callbacks: dict[str, Any]) -> None:
    assert ask(client(callbacks)) == {"events": 200, "jobs": 404, "stop": 404}
    behind = client(callbacks, [("zunko", "edamame")])
    assert ask(behind) == {"events": 401, "jobs": 404, "stop": 404}
    behind.post("/login", data=PERSON)
    assert ask(behind) == {"events": 200, "jobs": 404, "stop": 404}


@pytest.mark.parametrize("flags", [{"api": True}, {"nowebui": True}])
def test_with_the_api_everything_is_there(callbacks: dict[str, Any], flags: dict[str, bool]) -> None:
    answers = ask(client(callbacks, **flags))
    assert answers == {"events": 200, "jobs": 200, "stop": 400}, "400: there is nothing to stop"


def test_the_apis_accounts_are_asked_for(callbacks: dict[str, Any]) -> None:
    page = client(callbacks, [("zunko", "edamame")], api=True, api_auth="robot:beep,other:boop")
    assert ask(page) == {"events": 401, "jobs": 401, "stop": 401}
    assert ask(page, auth=("robot", "beep")) == {"events": 200, "jobs": 200, "stop": 400}
    page.post("/login", data=PERSON)
    assert ask(page) == {"events": 200, "jobs": 401, "stop": 401}, "the page's login is not the API's"


def test_options_of_the_command_line_name_the_folders(tmp_path: Path) -> None:
    preload = runpy.run_path(str(ROOT / "preload.py"))["preload"]
    parser = argparse.ArgumentParser()
    preload(parser)
    options = vars(parser.parse_args(["--lora-trainer-cache-dir", str(tmp_path)]))
    assert options == {"lora_trainer_settings_dir": None, "lora_trainer_outputs_dir": None,
                       "lora_trainer_cache_dir": str(tmp_path)}
    assert all(action.help for action in parser._actions)


def test_the_package_is_found_without_its_folder_on_the_path(
    callbacks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTOMATIC1111 has an extension's folder on the path only while it loads the extension's scripts."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT])
    for name in [name for name in sys.modules if name.startswith("lib_trainer.ui")]:
        monkeypatch.delitem(sys.modules, name)
    callbacks["ui_tabs"]()
    assert sys.modules["lib_trainer.ui.train_tab"].__file__ == str(ROOT / "lib_trainer" / "ui" / "train_tab.py")
