"""`blocks analyze`: numbers and files of both modes, and what it refuses."""
from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from lib_trainer.cli.main import main
from lib_trainer.hosts.standalone.host import StandaloneHost
from tests.compare import known_loras


@pytest.fixture
def lora(host: StandaloneHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return known_loras.write(host, "known", {"OUT10": 1.0, "IN02": 0.1})


def analyse(checkpoint: Path, lora: Path, *arguments: str) -> int:
    return main(["blocks", "analyze", "--model", str(checkpoint), "--lora", str(lora), "--prompt", "1girl",
                     *arguments])


def test_quick_as_json(checkpoint: Path, lora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse(checkpoint, lora, "--json", "--keep", "0.5") == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert answer["mode"] == "quick" and answer["lora"] == "known" and len(answer["effects"]) == 17
    assert {one["label"] for one in answer["effects"][:2]} == {"OUT10", "IN02"}
    assert answer["proposal"]["kept"] >= 0.5 and answer["proposal"]["weights"] in answer["prompt"]
    assert "17 to examine: 37 predictions" in told.err


def test_a_name_of_the_folder_and_a_table(checkpoint: Path, lora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["blocks", "analyze", "--model", str(checkpoint), "--loras-dir", str(lora.parent), "--lora",
                     "known", "--prompt", "1girl <lora:known:0.5>", "--blocks", "OUT10,IN02 IN01"])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0 and lines[0].split() == ["blocks", "effect", "share", "without", "only"]
    assert {line.split()[0] for line in lines[1:3]} == {"OUT10", "IN02"}
    assert "measured together" in lines[3] and lines[4].startswith("1girl <lora:known:0.5:lbw=")


def test_pictures_and_files(checkpoint: Path, lora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--pictures", "--steps", "2", "--blocks", "OUT10,IN02", "--range", "0,1", "--out", "out"]
    assert analyse(checkpoint, lora, *arguments) == 0
    assert "mean" in capsys.readouterr().out.splitlines()[0]
    assert sorted(os.listdir("out")) == ["analysis.json", "heat_map.svg", "sheet-1.png"]
    assert json.loads(Path("out/analysis.json").read_text("utf8"))["mode"] == "pictures"
    assert ElementTree.parse("out/heat_map.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    with Image.open("out/sheet-1.png") as sheet:
        assert 'LoRA analysis: "0,1: OUT10, IN02"' in sheet.info["parameters"]
    assert analyse(checkpoint, lora, *arguments) == 1 and "nothing is overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "quoted"), [
    (["--keep", "0"], "above 0"), (["--blocks", "IN99"], "IN99"), (["--range", "1"], "range"), (["--seed", "-1"], "-1"),
    (["--pictures", "--width", "70"], "70")])
def test_what_cannot_be_analysed_is_one_sentence(
    checkpoint: Path, lora: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], quoted: str
) -> None:
    assert analyse(checkpoint, lora, "--json", *arguments) == 1
    told = capsys.readouterr()
    assert quoted in json.loads(told.out)["errors"][0] and quoted in told.err and "Traceback" not in told.err


def test_an_unknown_lora_is_told(checkpoint: Path, lora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse(checkpoint, lora.with_name("nobody.safetensors")) == 1
    assert "nobody" in capsys.readouterr().err
