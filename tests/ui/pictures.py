"""A small picture folder for the page's tests."""
from __future__ import annotations

from pathlib import Path

from PIL import Image


def folder(place: Path, count: int = 3, captions: int = 2) -> Path:
    """Makes `place/2_zko` with pictures of 64 pixels, the first of them captioned; returns `place`."""
    inner = place / "2_zko"
    inner.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (64, 64), (40 * i, 90, 200)).save(inner / f"zko ({i}).png")
        if i < captions:
            (inner / f"zko ({i}).txt").write_text(f"zko, tag{i}", encoding="utf8")
    return place
