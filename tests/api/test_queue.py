"""The queue over HTTP: put in line, moved, taken out, trained."""
from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib_trainer.api import boundary, routes
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from tests.conftest import Settings

QUEUE = boundary.PREFIX + "/queue"


@pytest.fixture
def jobs(host: StandaloneHost) -> Jobs:
    return Jobs(host)


@pytest.fixture
def client(jobs: Jobs, host: StandaloneHost) -> TestClient:
    web = FastAPI()
    web.include_router(routes.routes(jobs, host, Path()))
    return TestClient(web, raise_server_exceptions=False)


def test_the_queue_from_adding_to_the_end(client: TestClient, jobs: Jobs, settings: Settings) -> None:
    for name in ("a", "b", "c"):
        answer = client.post(QUEUE, json={**settings(steps=1).to_dict(), "name": name})
        assert answer.json()["state"] == "waiting"
    assert client.post(f"{QUEUE}/3/move", json={"by": -2}).json()["entries"][0]["name"] == "c"
    assert [entry["name"] for entry in client.delete(f"{QUEUE}/1").json()["entries"]] == ["c", "b"]
    assert client.post(f"{QUEUE}/start").status_code == 200
    jobs.queue.start().join()
    told = client.get(QUEUE).json()
    assert [(entry["name"], entry["state"]) for entry in told["entries"]] == [("c", "done"), ("b", "done")]
    assert told == client.get(boundary.PREFIX + "/events").json()["queue"]
    assert client.post(f"{QUEUE}/pause").json()["going"] is False


@pytest.mark.parametrize(("method", "route", "body", "said"), [
    ("POST", "", {"rank": 0}, "Rank"), ("DELETE", "/7", None, "no training number 7"),
    ("POST", "/7/move", {"by": 1}, "no training number 7"), ("POST", "/7/move", {}, "by"),
])
def test_what_cannot_be_done_says_why(
    client: TestClient, method: str, route: str, body: dict[str, int] | None, said: str
) -> None:
    answer = client.request(method, QUEUE + route, json=body)
    assert answer.status_code == 400 and any(said in sentence for sentence in answer.json()["problems"])
