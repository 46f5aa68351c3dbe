"""Settings of other programs over the API."""
from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from fastapi.testclient import TestClient

from lib_trainer.api import boundary, routes
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from lib_trainer.lora import file
from tests.api.test_routes import LOCALES, client_of, post


@pytest.fixture
def client(host: StandaloneHost) -> Iterator[TestClient]:
    yield client_of(routes.routes(Jobs(host), host, LOCALES))


def test_a_command_becomes_settings(client: TestClient) -> None:
    answer = post(client, "import", {"text": "train_network.py --output_name x --network_dim 8 --lr_warmup_steps 5 "
                                             "--vae a.pt --nonsense 1"}).json()
    assert answer["kind"] == "command" and answer["values"]["rank"] == 8
    assert len(answer["contradictions"]) == len(answer["unsupported"]) == len(answer["faults"]) == 1


def test_values_that_are_no_settings_are_told(client: TestClient) -> None:
    answer = post(client, "import", {"values": {"name": "a", "rank": "many"}}).json()
    assert answer["kind"] == "ours" and answer["values"] == {"name": "a"} and "rank = 'many'" in answer["faults"][0]


def test_a_lora_is_found_by_name(client: TestClient, host: StandaloneHost) -> None:
    path = host.paths.loras / "a.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path, {"a.alpha": torch.tensor(1.0)}, {"ss_network_dim": "3"})
    assert post(client, "import", {"lora": "a"}).json()["values"]["rank"] == 3
    assert "There is no LoRA 'b'" in post(client, "import", {"lora": "b"}).json()["problems"][0]


def test_settings_are_written_for_others(client: TestClient) -> None:
    answer = post(client, "export", {"values": {"name": "a", "ema_decay": 0.9}, "to": "sd-scripts"}).json()
    assert 'output_name = "a"' in answer["text"] and answer["suffix"] == ".toml"
    assert any("ema_decay" in sentence for sentence in answer["lost"])


def test_all_that_is_wrong_with_a_request_is_told(client: TestClient) -> None:
    answer = post(client, "export", {"values": {"rank": 0}, "to": "ods", "shell": "fish"})
    assert answer.status_code == 400 and len(answer.json()["problems"]) == 3
    assert client.post(f"{boundary.PREFIX}/import", json={"text": "hello"}).status_code == 400
