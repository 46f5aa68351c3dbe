"""Losses by timestep and picture over HTTP: sorted, as a table, with thumbnails of these pictures alone."""
from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from lib_trainer.api import routes
from lib_trainer.bootstrap import App
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from tests import tiny_checkpoint
from tests.api.test_routes import LOCALES, client_of, get, post
from tests.ui import pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures.folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> TestClient:
    home = tmp_path_factory.mktemp("api")
    host = StandaloneHost(
        tiny_checkpoint.write(home / "models"),
        HostPaths(home / "loras", home / "outputs", home / "settings", home / "cache"))
    app = App(host, Jobs(host))
    client = client_of(routes.routes(app.jobs, app.host, LOCALES))
    refused = get(client, "losses")
    assert refused.status_code == 400 and "press Start first" in refused.json()["problems"][0]
    answer = post(client, "start", {"name": "zko", "images": str(folder), "repeats": 2, "epochs": 4, "rank": 2,
                                    "alpha": 1, "validation_split": 0.3})
    assert answer.status_code == 200, answer.text
    assert app.jobs.current is not None and app.jobs.current.wait(300)
    return client


def test_the_list(trained: TestClient, folder: Path) -> None:
    found = get(trained, "losses").json()
    held = 1
    assert found["total"] == len(list(folder.rglob("*.png"))) - held == len(found["pictures"])
    losses = [one["loss"] for one in found["pictures"]]
    assert losses == sorted(losses, reverse=True) and all(one["uses"] == 8 for one in found["pictures"])
    assert sum(band["count"] for band in found["bands"]) == 8 * found["total"]
    lowest = get(trained, "losses", order="lowest", count=1, job=1).json()["pictures"]
    assert lowest == found["pictures"][-1:]
    assert get(trained, "losses", first=1, count=1).json()["pictures"] == found["pictures"][1:2]
    files = [one["file"] for one in get(trained, "losses", order="file").json()["pictures"]]
    assert files == sorted(files)
    assert get(trained, "losses", order="wild").status_code in (400, 422)
    assert "There is no job 7" in get(trained, "losses", job=7).json()["problems"][0]


def test_the_table(trained: TestClient) -> None:
    answer = get(trained, "losses.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    shown = get(trained, "losses").json()["pictures"]
    assert [row["file"] for row in rows] == [one["file"] for one in shown]
    assert [float(row["loss"]) for row in rows] == [one["loss"] for one in shown]


def test_thumbnails_of_these_pictures_only(trained: TestClient) -> None:
    first = get(trained, "losses").json()["pictures"][0]
    answer = get(trained, "thumbnail", picture=first["number"])
    assert answer.status_code == 200
    assert max(Image.open(io.BytesIO(answer.content)).size) <= 96
    for wrong in (-1, 99):
        assert get(trained, "thumbnail", picture=wrong).status_code == 404


def test_the_events_tell_of_them(trained: TestClient) -> None:
    events = get(trained, "events").json()["events"]
    bands = [event for event in events if event["kind"] == "LossBands"]
    assert bands[-1]["step"] == get(trained, "losses").json()["step"]
    assert next(event["step"] for event in events if event["kind"] == "Validated") == 0
