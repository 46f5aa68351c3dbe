"""The workbench over HTTP: forms, choices, an operation from its start to its outcome, and refusals."""
from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib_trainer.api import boundary, routes
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from tests.workbench import stored
from tests.workbench.test_tasks import LONG, Gated

BENCH = boundary.PREFIX + "/workbench"


@pytest.fixture
def jobs(host: StandaloneHost) -> Jobs:
    for name in ("a", "b"):
        stored.write(host.paths.loras / f"{name}.safetensors", stored.small())
    return Jobs(host)


@pytest.fixture
def client(jobs: Jobs, host: StandaloneHost) -> TestClient:
    web = FastAPI()
    web.include_router(routes.routes(jobs, host, Path()))
    return TestClient(web, raise_server_exceptions=False)


def test_an_operation_from_its_form_to_its_outcome(client: TestClient, jobs: Jobs) -> None:
    forms = {form["name"]: form for form in client.get(f"{BENCH}/forms").json()["forms"]}
    assert {"merge", "into_checkpoint", "resize", "extract", "bake", "convert", "prune", "metadata",
            "inspect"} == forms.keys()
    assert [field["name"] for field in forms["merge"]["fields"]][:2] == ["sources", "out"]
    assert client.get(f"{BENCH}/choices").json()["loras"] == ["a", "b"]
    answer = client.post(f"{BENCH}/start/merge", json={"sources": [{"lora": "a"}, {"lora": "b"}], "out": "c"})
    assert answer.status_code == 200, answer.text
    number = answer.json()["number"]
    assert jobs.workbench.tasks.find(number).wait(LONG)
    told = client.get(f"{BENCH}/{number}").json()
    assert told["state"] == "done" and told["outcome"]["file"].endswith("c.safetensors")
    assert {"block", "layers", "retained"} <= told["outcome"]["rows"][0].keys()
    assert [task["number"] for task in client.get(BENCH).json()["tasks"]] == [number]


def test_what_cannot_be_done_says_why(client: TestClient, jobs: Jobs, tmp_path: Path) -> None:
    answer = client.post(f"{BENCH}/start/resize", json={"file": "nobody", "rank": 0})
    assert answer.status_code == 400 and len(answer.json()["problems"]) == 3
    assert client.post(f"{BENCH}/start/fry").json()["problems"][0].startswith("There is no operation 'fry'")
    assert client.get(f"{BENCH}/7").status_code == 400
    assert client.post(f"{BENCH}/cancel").status_code == 400
    gated = Gated(tmp_path)
    task = jobs.workbench.tasks.start("merge", "Merge", gated.run())
    assert gated.reached.wait(LONG)
    assert client.post(f"{BENCH}/start/prune", json={"file": "a"}).status_code == 409
    assert client.post(f"{BENCH}/cancel").json()["cancelling"] is True
    gated.go.set()
    assert task.wait(LONG)
    assert client.get(f"{BENCH}/{task.number}").json()["state"] == "cancelled"


def test_a_login_guards_every_route(jobs: Jobs, host: StandaloneHost) -> None:
    def nobody() -> None:
        raise HTTPException(401)

    web = FastAPI()
    web.include_router(routes.page_routes(jobs, host, nobody))
    web.include_router(routes.caller_routes(jobs, host, nobody))
    client = TestClient(web)
    for route in ("", "/forms", "/choices", "/1"):
        assert client.get(BENCH + route).status_code == 401
    for route in ("/start/inspect", "/cancel"):
        assert client.post(BENCH + route, json={"file": "a"}).status_code == 401


def test_a_page_without_its_api_only_reads(jobs: Jobs, host: StandaloneHost) -> None:
    web = FastAPI()
    web.include_router(routes.page_routes(jobs, host))
    client = TestClient(web)
    assert client.get(BENCH).status_code == 200
    assert client.post(f"{BENCH}/start/inspect", json={"file": "a"}).status_code in (404, 405)
