"""The card beside a LoRA: the WebUIs' keys, nothing of the person's own replaced, nothing half written."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.lora import card
from lib_trainer.lora.card import Card

CARD = Card(SD1, "Trained on a.safetensors.", "rank 4", activation="zunko \\(ずん子\\)")


@pytest.mark.parametrize(("family", "version"), [(SD1, "SD1"), (SD2, "SD2"), (SDXL, "SDXL")])
def test_keys_are_those_of_the_webuis(tmp_path: Path, family: Family, version: str) -> None:
    lora, picture = tmp_path / "zunko v1.5.safetensors", tmp_path / "preview.png"
    picture.write_bytes(b"picture")
    card.write(lora, Card(family, "what", "how", "zunko \\(ずん子\\)"), picture)
    assert json.loads((tmp_path / "zunko v1.5.json").read_text("utf8")) == {
        "description": "what", "sd version": version, "activation text": "zunko \\(ずん子\\)", "preferred weight": 1.0,
        "negative text": "", "notes": "how"}
    assert (tmp_path / "zunko v1.5.png").read_bytes() == b"picture"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preview.png", "zunko v1.5.json", "zunko v1.5.png"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    picture = tmp_path / "preview.png"
    for path in (picture, tmp_path / "a.json", tmp_path / "a.png"):
        path.write_text(f"the person's {path.name}")
    card.write(tmp_path / "a.safetensors", CARD, picture)
    assert (tmp_path / "a.json").read_text() == "the person's a.json"
    assert (tmp_path / "a.png").read_text() == "the person's a.png"


def test_without_a_preview_there_is_no_thumbnail(tmp_path: Path) -> None:
    card.write(tmp_path / "a.safetensors", CARD, None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none"):
        card.write(tmp_path / "a.safetensors", CARD, tmp_path / "none.png")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="Cannot write"):
        card.write(tmp_path / "file" / "a.safetensors", CARD, None)
