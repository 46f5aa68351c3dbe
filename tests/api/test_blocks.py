"""The editor's routes: tags in numbers, presets by block, layers and norms of LoRAs; only in its folder."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from safetensors.torch import save_file

from lib_trainer.api import boundary, routes
from lib_trainer.blocks.layouts import ARCH_BLOCKS, BLOCKS_26, LAYOUTS, LORA_BLOCKS
from lib_trainer.blocks.presets import Presets
from lib_trainer.bootstrap import App
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from tests import tiny_checkpoint
from tests.api.test_routes import client_of, get, post

LIST = "1,1,0.5,0,X,1,1,R,1,1,1,1,1,1,1,1,-2"


def write_lora(path: Path, *layers: str, metadata: dict[str, str] | None = None) -> None:
    """Writes a LoRA whose every layer has a delta of norm 2."""
    tensors = {}
    for layer in layers:
        tensors |= {f"{layer}.lora_down.weight": torch.ones(1, 4), f"{layer}.lora_up.weight": torch.ones(1, 1)}
    save_file(tensors, path, metadata or {"ss_base_model_version": "sd_v1"})


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("blocks")
    paths = HostPaths(folder / "loras", folder / "outputs", folder / "settings", folder / "cache")
    host = StandaloneHost(tiny_checkpoint.write(folder / "models"), paths)
    write_lora(paths.loras / "face.safetensors", "lora_unet_mid_block_attentions_0_proj_in",
               "lora_unet_up_blocks_1_attentions_0_proj_in", "lora_unet_up_blocks_1_attentions_0_proj_out")
    write_lora(paths.loras / "locon.safetensors", "lora_unet_down_blocks_0_downsamplers_0_conv", "lora_unet_conv_out")
    write_lora(paths.loras / "xl.safetensors", "lora_unet_output_blocks_0_1_proj_in",
               metadata={"ss_base_model_version": "sdxl_base_v1-0"})
    (paths.loras / "broken.safetensors").write_bytes(b"no tensors")
    write_lora(folder / "outside.safetensors", "lora_unet_conv_in")
    return App(host, Jobs(host))


class StrictResponse(JSONResponse):
    """Refuses what orjson refuses, with which AUTOMATIC1111 answers: keys that are no texts."""

    def render(self, content: Any) -> bytes:
        def check(value: Any) -> None:
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                assert isinstance(value, list | tuple) or type(key) is str, key
                if isinstance(inner, dict | list | tuple):
                    check(inner)

        check(content)
        return super().render(content)


@pytest.fixture
def client(app: App) -> TestClient:
    web = FastAPI(default_response_class=StrictResponse)
    web.include_router(routes.page_routes(app.jobs, app.host))
    return TestClient(web, raise_server_exceptions=False)


def tags(client: TestClient, prompt: str) -> list[dict[str, Any]]:
    answer = post(client, "block-tags", {"prompt": prompt})
    assert answer.status_code == 200, answer.text
    return answer.json()["tags"]


def test_a_loras_blocks_are_told_with_their_norms(client: TestClient) -> None:
    answer = get(client, "blocks", lora="face").json()
    assert answer["arch"] == "sd15" and answer["kind"] == "lora" and answer["layout"] == 17
    assert answer["blocks"] == {"M00": {"layers": 1, "norm": 2.0},
                                "OUT03": {"layers": 2, "norm": pytest.approx(math.sqrt(8))}}
    other = get(client, "blocks", lora="locon").json()
    assert other["layout"] == 26 and list(other["blocks"]) == ["IN03"] and other["layers_in_no_block"] == 1
    assert get(client, "blocks", lora="xl").json()["layout"] == 12


@pytest.mark.parametrize("name", ["nobody", "", "../outside", "broken"])
def test_a_lora_that_cannot_be_read_is_told(client: TestClient, name: str) -> None:
    answer = get(client, "blocks", lora=name)
    assert answer.status_code == 400 and name in answer.json()["problems"][0]


def test_nothing_outside_the_lora_folder_is_looked_at(client: TestClient, app: App) -> None:
    outside = app.host.paths.loras.parent / "outside.safetensors"
    assert get(client, "blocks", lora=str(outside)).status_code == 400
    [tag] = tags(client, f"<lora:{outside}:1>")
    assert tag["file"] is None and "no LoRA named" in tag["errors"][0]


@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
def test_presets_come_by_block_with_layouts_and_the_unet(client: TestClient, arch: str) -> None:
    answer = get(client, "block-presets", arch=arch).json()
    assert answer["arch"] == arch and answer["blocks"] == list(ARCH_BLOCKS[arch])
    assert {int(length): tuple(names) for length, names in answer["layouts"].items()} == LAYOUTS
    assert answer["usual"] == len(LORA_BLOCKS[arch])
    assert [place["block"] for place in answer["unet"]] == list(ARCH_BLOCKS[arch])
    shipped = [preset for preset in Presets.shipped().entries if len(preset.items) in LAYOUTS]
    assert [preset["name"] for preset in answer["presets"]] == [preset.name for preset in shipped]
    for preset, shown in zip(shipped, answer["presets"], strict=True):
        named = dict(zip(LAYOUTS[len(preset.items)], preset.items, strict=True))
        assert shown["items"] == {block: named.get(block, "0") for block in ARCH_BLOCKS[arch]}
        assert (shown["hint"], shown["folklore"]) == (preset.hint, preset.folklore)


def test_without_an_architecture_the_checkpoints_is_meant(client: TestClient) -> None:
    assert get(client, "block-presets").json()["arch"] == "sd15"
    answer = get(client, "block-presets", arch="flux")
    assert answer.status_code == 400 and "'flux'" in answer.json()["problems"][0]


def test_tags_are_told_in_their_order_and_other_kinds_are_not(client: TestClient) -> None:
    face, hyper = tags(client, "a <lora:face:0.8:NCNF>, <hypernet:x:1> <lyco:xl:1:lbw=0.5>")
    assert face["preset"] == "NCNF" and face["length"] == 17 and face["file"]["layers"] == {"M00": 1, "OUT03": 2}
    assert face["ratios"]["OUT03"] == 0 and face["items"]["IN01"] == "1" and face["errors"] == []
    assert hyper["name"] == "xl" and hyper["arch"] == "sdxl"
    assert hyper["items"] == dict.fromkeys(ARCH_BLOCKS["sdxl"], "0.5") and hyper["length"] is None


def test_items_stay_as_they_are_written(client: TestClient) -> None:
    [tag] = tags(client, f"<lora:face:1:lbw={LIST}:x=0.3>")
    assert (tag["items"]["IN05"], tag["items"]["M00"], tag["items"]["OUT11"]) == ("X", "R", "-2")
    assert tag["items"]["IN00"] == "0" and tag["ratios"]["IN05"] == 0.3 and 0 <= tag["ratios"]["M00"] <= 1
    [named] = tags(client, "<lora:face:1:lbw=R,OUT03-OUT05@0,MID@0.5>")
    assert named["items"] == {**dict.fromkeys(BLOCKS_26, "R"), **dict.fromkeys(("OUT03", "OUT04", "OUT05"), "0"),
                              "M00": "0.5"}
    [finer] = tags(client, "<lora:face:1:lbw=0.5,MID0@1>")
    assert finer["items"]["M00"] == "0.5" and finer["also"] == ["MID0@1"]


def test_a_tag_that_cannot_be_read_acts_plainly_and_says_so(client: TestClient) -> None:
    plain, wrong, nobody = tags(client, "<lora:face:1> <lora:face:1:lbw=1,2> <lora:nobody:1:NCNG>")
    assert plain["weights"] is None and plain["items"] is None and plain["errors"] == []
    assert wrong["items"] is None and "got 2" in wrong["errors"][0]
    assert nobody["file"] is None and "no LoRA named 'nobody'" in nobody["errors"][0] and len(nobody["errors"]) == 2
    [broken] = tags(client, "<lora:broken:1:NCNF>")
    assert broken["preset"] == "NCNF" and "broken.safetensors" in broken["errors"][0]


def test_the_pages_login_guards_the_editors_routes(app: App) -> None:
    def refuse() -> None:
        raise HTTPException(401, "Not authenticated")

    client = client_of(routes.page_routes(app.jobs, app.host, refuse))
    assert client.get(boundary.PREFIX + "/block-presets").status_code == 401
    assert client.get(boundary.PREFIX + "/blocks?lora=face").status_code == 401
    assert client.post(boundary.PREFIX + "/block-tags", json={"prompt": ""}).status_code == 401
