"""Paths as people type them, folder names, natural order."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.data.scanning.names import clean_path, natural_key, readable_endings, repeats_and_caption
from lib_trainer.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/pics/my set", "/pics/my set"),
        ("  /pics/my set \n", "/pics/my set"),
        ('"/pics/my set"', "/pics/my set"),
        ("' /pics/my set '", "/pics/my set"),
        ('"C:\\pics\\my set"', "C:\\pics\\my set"),
        ("\u201c/pics/zko\u201d", "/pics/zko"),
        ("/pics/it's", "/pics/it's"),
        ("/データ/ずん子", "/データ/ずん子"),
    ],
)
def test_clean_path(text: str, expected: str) -> None:
    assert clean_path(text) == Path(expected)


def test_home_is_expanded() -> None:
    assert clean_path("~/pics") == Path.home() / "pics"


@pytest.mark.parametrize("text", ["", "  ", '""', '" "'])
def test_no_path(text: str) -> None:
    with pytest.raises(UserError, match="No folder"):
        clean_path(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("10_zunko", (10, "zunko")),
        ("50_hina wife a woman", (50, "hina wife a woman")),
        ("5_zko_front", (5, "zko_front")),
        ("3_ずん子", (3, "ずん子")),
        ("3_", (3, "")),
        ("3", (3, "")),
        ("0_zunko", None),
        ("-1_zunko", None),
        ("zunko", None),
        ("10zunko", None),
        ("1.5_zunko", None),
    ],
)
def test_folder_names(name: str, expected: tuple[int, str] | None) -> None:
    assert repeats_and_caption(name) == expected


def test_natural_order() -> None:
    names = ["zko (10).png", "Zko (2).png", "a.png", "zko (1).png", "10.png", "9.png", "1_b/1.png", "1_b.png", "²3.png"]
    assert sorted(names, key=natural_key) == [
        "1_b.png", "1_b/1.png", "9.png", "10.png", "a.png", "zko (1).png", "Zko (2).png", "zko (10).png", "²3.png",
    ]


def test_endings() -> None:
    assert {".png", ".jpg", ".jpeg", ".webp", ".bmp"} <= readable_endings()
    assert ".gif" not in readable_endings()
