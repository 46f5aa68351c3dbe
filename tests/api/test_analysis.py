"""The analysis over HTTP: numbers, cost alone, sheets, and sentences about faulty requests."""
from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lib_trainer.api import routes
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from tests.compare import known_loras


@pytest.fixture
def client(host: StandaloneHost) -> TestClient:
    known_loras.write(host, "known", {"OUT10": 1.0, "IN02": 0.1})
    app = FastAPI()
    app.include_router(routes.caller_routes(Jobs(host), host))
    return TestClient(app)


def asked(client: TestClient, **values: Any) -> tuple[int, dict[str, Any]]:
    answer = client.post("/lora-trainer/v1/analyze", json={"lora": "known", "prompt": "1girl", **values})
    return answer.status_code, answer.json()


def test_the_quick_way(client: TestClient) -> None:
    code, answer = asked(client, keep=0.5, blocks="OUT10,IN02,IN01")
    assert code == 200 and answer["mode"] == "quick" and answer["sheets"] == answer["files"] == []
    assert [one["label"] for one in answer["effects"]] == ["OUT10", "IN02", "IN01"]
    assert answer["proposal"]["kept"] >= 0.5 and "lbw=" in answer["prompt"]


def test_cost_alone(client: TestClient) -> None:
    code, answer = asked(client, estimate=True)
    assert code == 200 and answer["count"] == 37 and answer["seconds"] == pytest.approx(37 * answer["each"]) != 0


def test_pictures(client: TestClient) -> None:
    code, answer = asked(client, mode="pictures", blocks="OUT10,IN02", range="0,1", steps=2, cfg=4, save=True)
    assert code == 200 and len(answer["sheets"]) == 1 and len(answer["files"]) == 3
    assert Image.open(io.BytesIO(base64.b64decode(answer["sheets"][0]))).width > 3 * 64
    assert all(Path(file).is_file() for file in answer["files"])


@pytest.mark.parametrize(("values", "quoted"), [
    ({"lora": "nobody"}, "nobody"), ({"lora": ""}, "lora"), ({"keep": "much"}, "keep = 'much'"),
    ({"keep": 2}, "at most"), ({"keeep": 1}, "'keeep' is not known"), ({"mode": "slow"}, "slow"),
    ({"seed": True}, "seed = True"), ({"blocks": "IN99"}, "IN99"), ({"range": "1"}, "range"),
    ({"threshold": 300}, "300"), ({"seeds": 0}, "got 0")])
def test_faults_are_sentences(client: TestClient, values: dict[str, Any], quoted: str) -> None:
    code, answer = asked(client, **values)
    assert code == 400 and quoted in " ".join(answer["problems"])


def test_all_faulty_values_are_told_together(client: TestClient) -> None:
    _, answer = asked(client, keep="much", steps="many", other=1)
    assert len(answer["problems"]) == 3


def test_nothing_outside_the_folder_is_read(client: TestClient, host: StandaloneHost, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    outside.write_bytes((host.paths.loras / "known.safetensors").read_bytes())
    code, answer = asked(client, lora=str(outside))
    assert code == 400 and "there is no such LoRA" in answer["problems"][0]
