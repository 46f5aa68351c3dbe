"""Labelled grids: pictures in columns and rows, their labels beside them, a title above.

The canvas is made when the first picture comes, and pictures are put on it one by one, so that only the canvas and one
picture are in memory where the pictures lie in files. A grid that would be too large gets smaller pictures.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

Font = Callable[[int], "FreeTypeFont"]
"""Returns a font of a height in pixels."""

MAX_PIXELS = 100_000_000
"""300 MB of memory; the pictures of a larger grid are drawn smaller."""

_BACKGROUND, _INK = "white", "black"
_SMALLEST = 8


def has_font() -> bool:
    """Whether Pillow has a font for labels of any size: it is of 10.1 or later and was built with FreeType."""
    from PIL import ImageFont

    try:
        return isinstance(ImageFont.load_default(_SMALLEST), ImageFont.FreeTypeFont)
    except TypeError:  # an older one takes no size
        return False


def default_font(height: int) -> FreeTypeFont:
    """Returns the font that comes with Pillow (10.1 and later)."""
    from PIL import ImageFont

    font = ImageFont.load_default(height)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


class Grid:
    """A grid that is being filled.

    Attributes:
        scale: 1, or less where the pictures are made smaller.
    """

    def __init__(
        self, columns: Sequence[str], rows: Sequence[str], title: str = "", font: Font = default_font
    ) -> None:
        """Starts a grid without pictures.

        Args:
            columns: labels from left to right; all empty = no line of labels. rows: those from top to bottom.
            title: what stands above everything.
            font: the labels' font.
        """
        self.scale = 1.0
        self._columns, self._rows, self._title, self._font = columns, rows, title, font
        self._canvas: Image | None = None
        self._cell = (0, 0)
        self._corner = (0, 0)

    def place(self, column: int, row: int, picture: Image | None) -> None:
        """Puts a picture into its cell; None leaves the cell empty."""
        if picture is None:
            return
        if self._canvas is None:
            self._canvas = self._begin(picture)
        width, height = self._cell
        fitted = picture.convert("RGB")
        fitted = fitted if fitted.size == self._cell else _contained(fitted, self._cell)
        left, top = self._corner[0] + column * width, self._corner[1] + row * height
        self._canvas.paste(fitted, (left + (width - fitted.width) // 2, top + (height - fitted.height) // 2))

    def finish(self) -> Image | None:
        """Returns the grid; None when no picture came."""
        return self._canvas

    def _begin(self, first: Image) -> Image:
        """Makes the canvas with all its labels."""
        from PIL import Image as images
        from PIL import ImageDraw

        pixels = first.width * first.height * len(self._columns) * len(self._rows)
        self.scale = min(1.0, (MAX_PIXELS / pixels) ** 0.5)
        width, height = (max(1, int(side * self.scale)) for side in first.size)
        size = max(_SMALLEST, (width + height) // 25)
        margin = width * 3 // 4 if any(self._rows) else 0
        headline = self._lines(self._title, margin + width * len(self._columns), size)
        headers = [self._lines(label, width, size) for label in self._columns]
        band = max(map(len, headers)) if any(self._columns) else 0
        above = len(headline) * _pitch(size)
        top = above + band * _pitch(size) + (size if above or band else 0)
        self._cell, self._corner = (width, height), (margin, top)
        canvas = images.new("RGB", (margin + width * len(self._columns), top + height * len(self._rows)), _BACKGROUND)
        pen = ImageDraw.Draw(canvas)
        self._write(pen, headline, size, (0, 0, canvas.width, above))
        for place, lines in enumerate(headers):
            self._write(pen, lines, size, (margin + place * width, above, width, top - above))
        for place, label in enumerate(self._rows):
            self._write(pen, self._lines(label, margin, size), size, (0, top + place * height, margin, height))
        return canvas

    def _lines(self, text: str, width: int, size: int) -> list[str]:
        """Breaks a label where it has commas, spaces or hyphens, and anywhere where that is not enough."""
        font, lines = self._font(size), []
        for line in text.splitlines():
            current = ""
            for piece in re.findall(r"[^\s,-]+[\s,-]*|[\s,-]+", line):
                if current and font.getlength(current + piece.rstrip()) > width:
                    lines.append(current.rstrip())
                    current = ""
                current += piece
                while len(current) > 1 and font.getlength(current.rstrip()) > width:
                    fitting = _fitting(font, current, width)
                    lines.append(current[:fitting])
                    current = current[fitting:]
            lines.append(current.rstrip())
        return lines

    def _write(self, pen: ImageDraw, lines: Sequence[str], size: int, box: tuple[int, int, int, int]) -> None:
        """Writes lines into the middle of a box (left, top, width, height)."""
        left, top, width, height = box
        first = top + (height - len(lines) * _pitch(size)) // 2
        for place, line in enumerate(lines):
            pen.text((left + width / 2, first + place * _pitch(size)), line, _INK, font=self._font(size), anchor="ma")


def _pitch(size: int) -> int:
    return size * 5 // 4


def _fitting(font: FreeTypeFont, text: str, width: int) -> int:
    """Returns how many letters of a text fit, at least one."""
    return next((count for count in range(len(text) - 1, 1, -1) if font.getlength(text[:count]) <= width), 1)


def _contained(picture: Image, cell: tuple[int, int]) -> Image:
    factor = min(cell[0] / picture.width, cell[1] / picture.height)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.resize(size)
