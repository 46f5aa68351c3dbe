"""The infotext of a picture and the PNG that carries it."""
from __future__ import annotations

from pathlib import Path

from PIL import Image

from lib_trainer.hosts.standalone.infotext import infotext, save_png


def test_format_of_the_webui() -> None:
    text = infotext("a cat\nin a hat", "bad", {"Steps": 20, "Seed": 1, "Clip skip": None, "Lora hashes": "a: 1, b: 2"})
    assert text == 'a cat\nin a hat\nNegative prompt: bad\nSteps: 20, Seed: 1, Lora hashes: "a: 1, b: 2"'


def test_without_negative_prompt() -> None:
    assert infotext("a", "", {"Steps": 1}) == "a\nSteps: 1"


def test_png_carries_the_text_and_numbers_go_up(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    first = save_png(Image.new("RGB", (8, 8)), "prompt 日本\nSteps: 1", folder, seed=7)
    second = save_png(Image.new("RGB", (8, 8)), "x", folder, seed=7)
    assert (first.name, second.name) == ("00000-7.png", "00001-7.png")
    with Image.open(first) as image:
        assert image.info["parameters"] == "prompt 日本\nSteps: 1"
    assert sorted(file.name for file in folder.iterdir()) == ["00000-7.png", "00001-7.png"]


def test_foreign_files_do_not_disturb_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "00041-3.png").touch()
    (tmp_path / "notes-1.txt").touch()
    assert save_png(Image.new("RGB", (8, 8)), "x", tmp_path, seed=1).name == "00042-1.png"
