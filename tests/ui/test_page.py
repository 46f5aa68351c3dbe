"""The page as it is served: alone, with our scripts in it, on a port that is free."""
from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from lib_trainer.bootstrap import App
from lib_trainer.errors import UserError
from lib_trainer.training import config_reading
from lib_trainer.txt2img_host import GenerateRequest
from lib_trainer.ui import page
from tests.ui import page_texts


@pytest.fixture(scope="module")
def client(shared_app: App) -> Iterator[TestClient]:
    with TestClient(page.web_app(shared_app)) as client:
        yield client


def test_the_page_asks_no_other_server_for_anything(client: TestClient) -> None:
    html = client.get("/").text
    assert "gradio_config" in html
    assert re.findall(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="(?:https?:)?//[^"]*"', html) == []
    assert "fonts.googleapis" not in html and "cdnjs" not in html
    theme = client.get("/theme.css").text
    assert "http" not in re.sub(r"http://www\.w3\.org/\d+/svg", "", theme)


def test_scripts_and_styles_are_in_the_page(client: TestClient) -> None:
    html = client.get("/").text
    for path in (*page_texts.SCRIPTS, page_texts.ROOT / "style.css"):
        assert path.read_text(encoding="utf8") in html
    assert html.index("window.trainLora = window.trainLora || {}") < html.index("ours.chart = function")


def test_no_script_ends_itself_early() -> None:
    for path in page_texts.SCRIPTS:
        assert "</script" not in path.read_text(encoding="utf8").lower()


def test_routes_and_gradio_answer_beside_the_page(client: TestClient) -> None:
    assert client.get("/lora-trainer/v1/status").json()["checkpoint"]["name"] == "tiny.safetensors"
    assert client.get("/config").json()["version"]
    assert client.get("/assets/none.js").status_code == 404


def test_the_next_free_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with page._listener("127.0.0.1", port) as found:
            assert port < found.getsockname()[1] < port + page.TRIED_PORTS


def test_no_port_at_all_is_a_sentence() -> None:
    with pytest.raises(UserError, match="--port"):
        page._listener("127.0.0.1", 65536)


def test_the_demo_starts_with_settings_that_can_be_read() -> None:
    draft, request = page._demo_start()
    config, faults = config_reading.read(draft.values)
    assert faults == [] and config.images.endswith("train")
    assert isinstance(request, GenerateRequest)
