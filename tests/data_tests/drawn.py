"""Picture files for the tests of this folder."""
from __future__ import annotations

from pathlib import Path

from PIL import Image


def picture(path: Path, size: tuple[int, int] = (64, 64), colour: tuple[int, int, int] = (200, 40, 40)) -> Path:
    """Writes a picture of one colour; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def caption(path: Path, text: str) -> Path:
    """Writes a UTF-8 text file; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")
    return path


def truncate(path: Path) -> Path:
    """Cuts the second half of a file off."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def noisy(path: Path, size: tuple[int, int] = (64, 64), seed: int = 0) -> Path:
    """Writes a picture of noise: big enough that half of it is missing when it is cut."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path
