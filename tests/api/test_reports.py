"""The routes of the bucket report and of the caches."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lib_trainer.api import boundary, routes
from lib_trainer.data.caches import cache_files
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from lib_trainer.training import caching


@pytest.fixture
def client(host: StandaloneHost) -> TestClient:
    web = FastAPI()
    web.include_router(routes.caller_routes(Jobs(host), host))
    return TestClient(web, raise_server_exceptions=False)


def report(client: TestClient, **query: Any) -> Any:
    return client.get(boundary.PREFIX + "/dataset/report", params=query)


def test_a_page_of_the_report(client: TestClient, pictures: Path) -> None:
    Image.new("RGB", (200, 60)).save(pictures / "wide.png")
    found = report(client, folder=str(pictures), resolution="64", order="cut", count=2).json()
    assert (found["pictures"], found["of"], len(found["rows"])) == (4, 4, 2)
    assert found["rows"][0]["key"] == "images/wide.png" and found["rows"][0]["bucket"] == [64, 64]
    rest = report(client, folder=str(pictures), resolution="64", order="cut", start=2, count=2).json()
    assert len({row["key"] for row in found["rows"] + rest["rows"]}) == 4
    one = report(client, folder=str(pictures), resolution="64", bucket="64x64").json()
    assert one["of"] == 4 and report(client, folder=str(pictures), bucket="8x8").json()["of"] == 0


def test_the_first_page_reads_the_folder_anew(client: TestClient, pictures: Path) -> None:
    assert report(client, folder=str(pictures)).json()["pictures"] == 3
    Image.new("RGB", (64, 64)).save(pictures / "new.png")
    assert report(client, folder=str(pictures), start=1).json()["pictures"] == 3
    assert report(client, folder=str(pictures)).json()["pictures"] == 4


@pytest.mark.parametrize(("query", "told"), [
    ({"folder": "/none/such"}, "does not exist"), ({"order": "colour"}, "not by 'colour'"),
    ({"bucket": "big"}, "512x768"), ({"resolution": "abc"}, "Resolution"), ({}, "Picture folder is empty"),
])
def test_what_is_wrong_is_told(client: TestClient, pictures: Path, query: dict[str, str], told: str) -> None:
    answer = report(client, **({"folder": str(pictures)} if query else {}) | query)
    assert answer.status_code == 400 and any(told in problem for problem in answer.json()["problems"])


def test_caches_are_measured_and_cleared(client: TestClient, host: StandaloneHost) -> None:
    import torch

    folder = caching.latents_folder(host.paths)
    for number in range(3):
        cache_files.write(cache_files.place(folder, cache_files.digest(number)), {"mean": torch.zeros(4)})
    there = client.get(boundary.PREFIX + "/cache").json()
    assert there["latents"]["files"] == 3 and there["latents"]["bytes"] > 0 and there["captions"]["files"] == 0
    assert client.post(boundary.PREFIX + "/cache/clear", json={"kind": "captions"}).json()["captions"]["files"] == 0
    assert client.post(boundary.PREFIX + "/cache/clear").json()["latents"] == there["latents"]
    assert client.get(boundary.PREFIX + "/cache").json()["latents"] == {"files": 0, "bytes": 0}
    wrong = client.post(boundary.PREFIX + "/cache/clear", json={"kind": "loras"})
    assert wrong.status_code == 400 and "no cache of 'loras'" in wrong.text
