"""Caption files as people have them."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.data.captions.caption_files import UnreadableCaption, read_caption


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"zko, 1girl", ("zko, 1girl", 0)),
        (b"\xef\xbb\xbfzko, 1girl\r\n", ("zko, 1girl", 0)),
        (b"\r\n\r\n  zko \r\nmore\r\n\r\nand more", ("zko", 2)),
        ("ずん子, 緑髪".encode(), ("ずん子, 緑髪", 0)),
        (b"", ("", 0)),
        (b" \n\t\r\n", ("", 0)),
        (b"masterpiece, (a:1.2), \\(series\\)", ("masterpiece, (a:1.2), \\(series\\)", 0)),
    ],
)
def test_caption_files(content: bytes, expected: tuple[str, int], tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    assert read_caption(file) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ずん子, 緑髪".encode("cp932"), "Shift-JIS"),
        ("zko, 1girl".encode("utf-16"), "UTF-16"),
        ("zko, 1girl".encode("utf-16-le"), "UTF-16"),
        (b"\xff\x00\x81", "not UTF-8"),
    ],
)
def test_other_encodings_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(UnreadableCaption, match=words):
        read_caption(file)
