"""Draws a comparison through a host whose page is ours, one generation for each cell, and saves what came of it.

The host saves every cell with its own infotext. The pictures are read from their files when the sheets are made, so
only the canvas of one sheet is in memory, however many cells there are.
"""
from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.blocks import recorded
from lib_trainer.compare.cells import Comparison, Sheet
from lib_trainer.compare.grids import default_font
from lib_trainer.compare.seeds import rolled
from lib_trainer.host_model import Picture
from lib_trainer.txt2img_host import DrawProgress, GenerateRequest, Txt2ImgHost

if TYPE_CHECKING:
    from PIL.Image import Image

_OF_CELL = "|".join(map(re.escape, (recorded.FIELD, recorded.RULES_FIELD, recorded.FAULTS_FIELD)))
_FIELD = re.compile(rf', (?:{_OF_CELL}): (?:"(?:[^"\\]|\\.)*"|[^,\n]*)')


@dataclass(frozen=True)
class Saved:
    """A picture in its file."""

    file: Path
    infotext: str


@dataclass(frozen=True)
class Drawn:
    """What came of a comparison.

    Attributes:
        sheets: the sheets. cells: the pictures that were drawn, in the order of the cells.
        told: sentences for the person.
    """

    sheets: list[Saved] = field(default_factory=list)
    cells: list[Saved] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def draw(
    host: Txt2ImgHost,
    request: GenerateRequest,
    comparison: Comparison,
    progress: Callable[[DrawProgress], None] | None = None,
    interrupt: Callable[[], bool] = lambda: False,
) -> Drawn:
    """Draws all cells, or those that were drawn when the person interrupts.

    Args:
        host: draws them.
        request: what the cells have in common; batch size and count are 1, a seed of -1 is rolled once.
        comparison: the cells.
        progress: told after every step of all cells together.
        interrupt: asked after every step and between cells.

    Raises:
        UserError: a fault of the request.
    """
    seed = rolled() if request.seed < 0 else request.seed
    common = replace(request, seed=seed, batch_size=1, batch_count=1)
    result = Drawn(told=list(comparison.told))
    for number, cell in enumerate(comparison.cells):
        if interrupt():
            break
        own = replace(common, prompt=cell.change(common.prompt), seed=seed if cell.seed is None else cell.seed)
        told = _counting(progress, number, len(comparison.cells))
        for picture in host.generate(own, told, interrupt):
            result.cells.append(_in_file(picture))
            result.told.extend(picture.comments)
    if result.cells:
        for sheet in comparison.sheets(lambda index: _image(result.cells, index), default_font):
            result.sheets.append(_saved(host, sheet, common.prompt, result.cells[0].infotext))
            result.told.extend(sheet.told)
    return replace(result, told=list(dict.fromkeys(result.told)))


def _counting(
    progress: Callable[[DrawProgress], None] | None, number: int, cells: int
) -> Callable[[DrawProgress], None] | None:
    """Returns a progress of one cell that tells how far all of them are."""
    if progress is None:
        return None
    return lambda one: progress(DrawProgress(number * one.steps + one.step, cells * one.steps, one.image))


def _in_file(picture: Picture) -> Saved:
    assert picture.file is not None, "a generation's pictures are saved by the host"
    return Saved(picture.file, picture.infotext)


def _image(drawn: list[Saved], index: int) -> Image | None:
    from PIL import Image as images

    if index >= len(drawn):
        return None
    with images.open(drawn[index].file) as opened:
        return opened.convert("RGB")


def _saved(host: Txt2ImgHost, sheet: Sheet, prompt: str, of_first: str) -> Saved:
    """Writes a sheet into the host's folder of grids."""
    text = sheet_infotext(of_first, prompt, sheet.facts)
    return Saved(_save(sheet.image, text, host.paths.outputs / "grids"), text)


def sheet_infotext(of_cell: str, prompt: str, facts: Mapping[str, str]) -> str:
    """Returns a sheet's infotext: that of a cell with the person's own prompt, without the cell's own weights.

    Args:
        of_cell: the infotext of a cell. prompt: the person's prompt. facts: what is added, by field name.
    """
    lines = of_cell.split("\n")
    values = _FIELD.sub("", lines[-1])
    negative = next((i for i, line in enumerate(lines) if line.startswith("Negative prompt: ")), len(lines) - 1)
    added = "".join(f", {name}: {_quoted(text)}" for name, text in facts.items())
    return "\n".join([prompt, *lines[negative:-1], values + added])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text


def _save(image: Image, text: str, folder: Path) -> Path:
    """Writes `NNNNN-plot.png` with the next free number, never a half one, and returns its path."""
    from PIL.PngImagePlugin import PngInfo

    folder.mkdir(parents=True, exist_ok=True)
    numbers = [int(entry.name.split("-", 1)[0]) for entry in folder.iterdir() if entry.name.split("-", 1)[0].isdigit()]
    path = folder / f"{max(numbers, default=-1) + 1:05}-plot.png"
    info = PngInfo()
    info.add_text("parameters", text)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as opened:
        image.save(opened, format="PNG", pnginfo=info)
    os.replace(temporary, path)
    return path
