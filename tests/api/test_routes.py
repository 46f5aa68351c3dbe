"""The HTTP face: numbered events, buttons, faults as JSON, pictures that may be seen, sites that may not ask."""
from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.testclient import TestClient
from PIL import Image

from lib_trainer.api import boundary, routes
from lib_trainer.bootstrap import App
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from lib_trainer.training import forecast
from tests import tiny_checkpoint
from tests.ui import pictures

LOCALES = Path(__file__).resolve().parents[2] / "localizations"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("api")
    paths = HostPaths(folder / "loras", folder / "outputs", folder / "settings", folder / "cache")
    host = StandaloneHost(tiny_checkpoint.write(folder / "models"), paths)
    return App(host, Jobs(host))


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    yield client_of(routes.routes(Jobs(app.host), app.host, LOCALES))


@pytest.fixture(scope="module")
def trained(app: App, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A client whose job has run: three steps, a preview at each, paused and continued by its buttons on the way."""
    client = client_of(routes.routes(app.jobs, app.host, LOCALES))
    answer = post(client, "start", {
        "output_name": "zko", "images": str(pictures.folder(tmp_path_factory.mktemp("data"))), "steps": 3, "rank": 2,
        "alpha": 1, "preview_prompts": "zko", "preview_every_steps": 3, "preview_steps": 1})
    assert answer.status_code == 200, answer.text
    assert post(client, "pause").json()["paused"]
    assert post(client, "start", {"name": "other"}).status_code == 409
    assert not post(client, "continue").json()["paused"]
    assert app.jobs.current is not None and app.jobs.current.wait(300)
    return client


def client_of(router: Any) -> TestClient:
    web = FastAPI()
    web.include_router(router)
    return TestClient(web, raise_server_exceptions=False)


def get(client: TestClient, route: str, **query: Any) -> Any:
    return client.get(boundary.PREFIX + "/" + route, params=query)


def post(client: TestClient, route: str, body: Any = None, **options: Any) -> Any:
    return client.post(boundary.PREFIX + "/" + route, json=body or {}, **options)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


def test_before_the_first_job_there_are_no_events(client: TestClient) -> None:
    assert get(client, "events").json() == {
        "job": 0, "run": "", "running": False, "events": [], "last": 0, "queue": {"going": False, "entries": []}}
    status = get(client, "status").json()
    assert status["checkpoint"] == {
        "name": "tiny.safetensors", "family": "SD 1.x", "resolution": 64, "prediction": "epsilon"}


def test_a_run_is_told_from_start_to_end(trained: TestClient) -> None:
    answer = get(trained, "events").json()
    events = answer["events"]
    assert not answer["running"] and answer["last"] == len(events)
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert "Started" in kinds(events) and kinds(events)[-1] == "Finished"
    assert kinds(events).count("Stepped") == 3 and "Previewed" in kinds(events) and "Saved" in kinds(events)
    assert events[-1]["tag"] == "<lora:zko:1>"


def test_jobs_and_files_of_this_process_are_told(trained: TestClient) -> None:
    only, = get(trained, "jobs").json()["jobs"]
    assert (only["job"], only["name"], only["running"]) == (1, "zko", False)
    assert only["outcome"]["kind"] == "Finished" and Path(only["folder"]).is_dir()
    for query in ({}, {"job": 1}):
        files = get(trained, "files", **query).json()
        assert [Path(saved["file"]).name for saved in files["loras"]] == ["zko.safetensors"]
        assert files["previews"][0]["step"] == 3 and Path(files["previews"][0]["files"][0]).is_file()
    assert get(trained, "events", job=1).json()["events"] == get(trained, "events").json()["events"]
    for route in ("files", "events"):
        answer = get(trained, route, job=2)
        assert answer.status_code == 400 and "no job 2" in answer.json()["problems"][0]


def test_a_reader_gets_only_what_it_has_not_seen(trained: TestClient) -> None:
    first = get(trained, "events").json()
    later = get(trained, "events", after=first["last"] - 1, run=first["run"]).json()
    assert [event["number"] for event in later["events"]] == [first["last"]]
    assert get(trained, "events", after=first["last"], run=first["run"]).json()["events"] == []
    # A page that watched another run, of this process or the one before, begins anew.
    assert len(get(trained, "events", after=2, run="elsewhere-1").json()["events"]) == first["last"]


@pytest.mark.parametrize("points", [1, 2, 7, 100, 1000])
def test_steps_are_thinned_and_nothing_else(points: int) -> None:
    events = [{"number": i, "kind": "Saved" if i % 50 == 0 else "Stepped"} for i in range(1, 501)]
    thinned = routes.thin(events, points)
    steps = [event["number"] for event in thinned if event["kind"] == "Stepped"]
    assert kinds(thinned).count("Saved") == 10
    assert steps[0] == 1 and steps[-1] == 499 and len(steps) <= points + 1
    assert thinned == sorted(thinned, key=lambda event: event["number"])
    assert routes.thin(events, 0) == events


def test_previews_are_served_and_nothing_else(trained: TestClient, app: App, tmp_path: Path) -> None:
    event = next(e for e in get(trained, "events").json()["events"] if e["kind"] == "Previewed")
    answer = get(trained, "preview", file=event["files"][0])
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    note = app.host.paths.outputs / "note.txt"
    note.write_text("x")
    link = app.host.paths.outputs / "link.png"
    link.symlink_to(secret)
    for file in (secret, app.host.paths.outputs / ".." / "secret.png", note, link, app.host.paths.outputs / "none.png"):
        assert get(trained, "preview", file=str(file)).status_code == 404


def test_faults_come_back_together(client: TestClient) -> None:
    answer = post(client, "start", {"rank": 0, "learning_rate": "abc", "images": "/no/such/folder", "lr": 1})
    assert answer.status_code == 400
    text = " ".join(answer.json()["problems"])
    for part in ("Rank", "abc", "/no/such/folder", "'lr'", "Name is empty"):
        assert part in text


@pytest.mark.parametrize("button", ["stop", "pause", "continue", "save", "sample"])
def test_buttons_without_a_training_say_so(client: TestClient, trained: TestClient, button: str) -> None:
    for caller in (client, trained):
        answer = post(caller, button)
        assert answer.status_code == 400 and "No training is running" in answer.json()["problems"][0]


def test_the_picture_folder_is_described(client: TestClient, tmp_path: Path) -> None:
    folder = pictures.folder(tmp_path / "data", count=4, captions=3)
    answer = get(client, "dataset", folder=str(folder), epochs=3, batch_size=2).json()
    assert (answer["pictures"], answer["captioned"], answer["samples"], answer["steps"]) == (4, 3, 8, 12)
    assert get(client, "dataset", folder="/no/such/folder").json()["problems"]


def test_dropped_pictures_become_a_folder(client: TestClient, app: App) -> None:
    files = [("files", ("zko (1).png", b"1")), ("files", ("zko (1).txt", b"zko")), ("files", ("x.exe", b"2"))]
    answer = client.post(boundary.PREFIX + "/pictures", data={"name": "drop"}, files=files).json()
    folder = Path(answer["folder"])
    assert folder == app.host.paths.settings / "datasets" / "drop"
    assert sorted(path.name for path in folder.iterdir()) == ["zko (1).png", "zko (1).txt"]
    assert "x.exe" in answer["problems"][0]
    refused = client.post(boundary.PREFIX + "/pictures", data={"name": "../up"}, files=files)
    assert refused.status_code == 400 and "../up" in refused.json()["problems"][0]


def test_presets_of_this_family_are_offered(client: TestClient) -> None:
    names = get(client, "presets").json()["presets"]
    assert len(names) == len(set(names)), "a name with a list for each architecture is offered once"
    assert {"NCNF", "OUTD", "ALL"} <= set(names) and "FLUXALL" not in names


@pytest.mark.parametrize(("language", "name"), [
    ("ja", "名前"), ("ja-JP", "名前"), ("zh-CN", "名称"), ("zh", "名称"), ("zh-TW", "名稱"), ("zh-HK", "名稱")])
def test_texts_follow_the_browsers_language(client: TestClient, language: str, name: str) -> None:
    assert get(client, "locale", language=language).json()["Name"] == name


@pytest.mark.parametrize("language", ["en-US", "de", "../../etc/passwd", ""])
def test_other_languages_stay_english(client: TestClient, language: str) -> None:
    assert get(client, "locale", language=language).json() == {}


def test_other_web_sites_may_not_ask(client: TestClient) -> None:
    own = {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:7860"}
    assert post(client, "start", headers=own).status_code == 400
    proxied = {"host": "inside:7860", "x-forwarded-host": "train.example", "origin": "https://train.example"}
    assert post(client, "start", headers=proxied).status_code == 400
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert post(client, "start", headers={**own, "origin": origin}).status_code == 403


def test_login_guards_every_route_reading_included(app: App) -> None:
    def login() -> None:
        raise HTTPException(401, "Not logged in")

    router = APIRouter()
    router.include_router(routes.page_routes(Jobs(app.host), app.host, login))
    router.include_router(routes.caller_routes(Jobs(app.host), app.host, login))
    guarded = client_of(router)
    assert len(router.routes) > 10
    for route in router.routes:
        for method in route.methods:  # type: ignore[attr-defined]
            assert guarded.request(method, route.path).status_code == 401  # type: ignore[attr-defined]


def test_a_bug_of_ours_is_an_answer_with_a_traceback(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "forecast", lambda *_: 1 / 0)
    answer = get(client_of(routes.routes(Jobs(app.host), app.host, LOCALES)), "dataset", folder="x")
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.json()["problems"][0] and "1 / 0" in answer.json()["traceback"]


def test_requests_that_cannot_be_read_are_told_where(client: TestClient) -> None:
    for answer in (client.post(boundary.PREFIX + "/start", content=b"{"), post(client, "start", [1]),
                   get(client, "events", after="x"), get(client, "events", after=-1)):
        assert answer.status_code == 400
        assert answer.json()["problems"][0].startswith(("body", "query after"))
