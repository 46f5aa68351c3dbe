"""The infotext of a picture in the WebUI's format, and the PNG that carries it.

`PNG Info` and every gallery tool read the text chunk "parameters": the prompt, then `Negative prompt: ...`, then one
line of `Key: value` pairs.
"""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def infotext(prompt: str, negative: str, values: dict[str, object]) -> str:
    """Returns the infotext; values with a comma, colon or line break are quoted, None is left out."""
    pairs = ", ".join(f"{key}: {_quote(value)}" for key, value in values.items() if value is not None)
    lines = [prompt, f"Negative prompt: {negative}" if negative else "", pairs]
    return "\n".join(line for line in lines if line)


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text


def save_png(image: Image, text: str, folder: Path, seed: int) -> Path:
    """Writes `NNNNN-seed.png` with the next free number into a folder and returns its path.

    Written under a temporary name and renamed, so that no half picture is ever seen under the final one.
    """
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", text)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_next_number(folder):05}-{seed}.png"
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        image.save(file, format="PNG", pnginfo=info)
    os.replace(temporary, path)
    return path


def _next_number(folder: Path) -> int:
    numbers = (entry.name.split("-", 1)[0] for entry in os.scandir(folder))
    return max((int(number) for number in numbers if number.isdigit()), default=-1) + 1
