"""All pictures of a finished slider on one sheet: a column for each strength, a row for each prompt and seed."""
from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from lib_trainer.compare import grids
from lib_trainer.lora import whole
from lib_trainer.training.strengths.events import StrengthsDrawn

_LONGEST = 120
"""Letters of a prompt that stand beside its row."""


def write(path: Path, title: str, rows: Sequence[StrengthsDrawn]) -> Path | None:
    """Writes the sheet; returns None where there is nothing to draw on it, or nothing to write its labels with.

    Args:
        path: the PNG; one that is there is replaced.
        title: what stands above. rows: what was drawn.

    Raises:
        UserError: it cannot be written.
    """
    from PIL import Image

    if not rows or not grids.has_font():
        return None
    grid = grids.Grid([f"{strength:+g}" if strength else "0" for strength in rows[0].strengths],
                      [f"{_cut(row.prompt)}\nseed {row.seed}" for row in rows], title)
    for number, row in enumerate(rows):
        for column, file in enumerate(row.files):
            with Image.open(file) as picture:
                grid.place(column, number, picture)
    image = grid.finish()
    assert image is not None  # there is a row, and no row is without a picture
    content = io.BytesIO()
    image.save(content, "PNG")
    whole.write(path, content.getvalue(), overwrite=True)
    return path


def _cut(prompt: str) -> str:
    return prompt if len(prompt) <= _LONGEST else f"{prompt[:_LONGEST]}..."
