"""The pen that the demo's pictures are drawn with: a few flat shapes, placed in a frame of 64 x 64.

The frame is moved and scaled about its middle, so that one drawing gives many pictures, and enlarged to the real size.
"""

from __future__ import annotations

from PIL import ImageDraw

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


class Pen:
    """Draws in a 64 x 64 frame, moved and scaled about its middle."""

    def __init__(self, target: ImageDraw.ImageDraw, unit: float, shift: tuple[float, float], scale: float) -> None:
        self._target, self._unit, self._shift, self._scale = target, unit, shift, scale

    def _at(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        (dx, dy), k = self._shift, self._scale
        return [(((x - 32) * k + 32 + dx) * self._unit, ((y - 32) * k + 32 + dy) * self._unit) for x, y in points]

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        (left, top), (right, bottom) = self._at([(x - rx, y - ry), (x + rx, y + ry)])
        self._target.ellipse((left, top, right, bottom), fill=colour)

    def smile(self, x: float, y: float, rx: float, ry: float, colour: Colour, width: float) -> None:
        """The lower half of an ellipse's line."""
        (left, top), (right, bottom) = self._at([(x - rx, y - ry), (x + rx, y + ry)])
        self._target.arc((left, top, right, bottom), 12, 168, fill=colour, width=round(width * self._unit))

    def polygon(self, points: list[tuple[float, float]], colour: Colour) -> None:
        self._target.polygon(self._at(points), fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, radius: float, colour: Colour) -> None:
        (x0, y0), (x1, y1) = self._at([(left, top), (right, bottom)])
        self._target.rounded_rectangle((x0, y0, x1, y1), radius * self._unit, fill=colour)
