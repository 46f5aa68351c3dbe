"""The U-Net as a picture: every block a cell coloured by its effect, down the left side, up the right one.

The colours are those of cividis (Nunez et al. 2018), whose lightness rises evenly and which people with colour vision
deficiencies see as others do; the number stands in every cell as well, in black or white, whichever can be read. All
else takes the colours of the page, light or dark. Blocks that the LoRA lacks are dashed outlines.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lib_trainer.blocks.layouts import ARCH_BLOCKS, BASE, MIDDLE

_CIVIDIS = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838")
_WIDTH, _HEIGHT = 86, 24
_STEP_DOWN, _SHIFT, _GAP = 28, 9, 40
"""Pixels between two rows, how far a row is moved towards the middle, and between the two sides at the bottom."""


def svg(effects: Mapping[str, float], present: Sequence[str], arch: str) -> str:
    """Returns the picture as SVG text that can stand in a page.

    Args:
        effects: what was measured, by block; >= 0. Blocks that were not examined are empty.
        present: the blocks that the LoRA has.
        arch: "sd15" or "sdxl".
    """
    places = positions(arch)
    greatest = max(effects.values(), default=0.0)
    cells = "".join(_cell(block, x, y, effects.get(block), block in present, greatest)
                    for block, (x, y) in places.items())
    width = max(x for x, _ in places.values()) + _WIDTH + 2
    height = max(y for _, y in places.values()) + _HEIGHT + 2
    return (f'<svg class="tl-heat" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'aria-label="{escape(_in_words(effects), quote=True)}" font-size="11" font-family="sans-serif">'
            f"{cells}</svg>")


def positions(arch: str) -> dict[str, tuple[int, int]]:
    """Returns left and top of every block's cell: IN goes down, M00 lies at the bottom, OUT goes up."""
    blocks = ARCH_BLOCKS[arch]
    down = [block for block in blocks if block.startswith("IN")]
    up = [block for block in blocks if block.startswith("OUT")]
    rows = len(down)
    top = _STEP_DOWN + 8
    right = 2 * (rows - 1) * _SHIFT + _WIDTH + _GAP
    found = {BASE: ((right + _WIDTH) // 2 - _WIDTH // 2, 1)}
    found |= {block: (row * _SHIFT + 1, top + row * _STEP_DOWN) for row, block in enumerate(down)}
    found[MIDDLE] = ((right + _WIDTH) // 2 - _WIDTH // 2, top + rows * _STEP_DOWN)
    found |= {block: (right - row * _SHIFT, top + row * _STEP_DOWN) for row, block in enumerate(reversed(up))}
    return found


def colour(part: float) -> tuple[str, str]:
    """Returns the colour of a part (0 to 1) of the greatest effect, and that of text on it."""
    place = min(1.0, max(0.0, part)) * (len(_CIVIDIS) - 1)
    low = min(int(place), len(_CIVIDIS) - 2)
    first, second = (tuple(bytes.fromhex(_CIVIDIS[index][1:])) for index in (low, low + 1))
    mixed = [round(a + (b - a) * (place - low)) for a, b in zip(first, second, strict=True)]
    return "#" + bytes(mixed).hex(), "#000" if _luminance(mixed) > 0.179 else "#fff"


def _luminance(rgb: Sequence[int]) -> float:
    """Returns the relative luminance, 0 to 1 (WCAG 2.1); above 0.179 black text has the better contrast."""
    linear = [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _cell(block: str, x: int, y: int, effect: float | None, present: bool, greatest: float) -> str:
    known = effect is not None and present
    part = (effect or 0.0) / greatest if greatest else 0.0
    fill, ink = colour(part) if known else ("none", "currentColor")
    line = 'stroke="currentColor" stroke-opacity="0.5"' + ("" if present else ' stroke-dasharray="3 3"')
    exact = f"{effect:.3g}" if known else "?" if present else "–"
    shown = _short(effect or 0.0) if known else exact
    return (f'<g><title>{block}: {exact}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4" '
            f'fill="{fill}" {line}/><text x="{x + 6}" y="{y + 16}" fill="{ink}">{block}</text>'
            f'<text x="{x + _WIDTH - 6}" y="{y + 16}" fill="{ink}" text-anchor="end">{escape(shown)}</text></g>')


def _short(effect: float) -> str:
    """Writes a number so that it fits beside the block's name: at most six characters."""
    if effect >= 1000 or effect == 0:
        return f"{effect:.0f}" if effect < 100_000 else f"{effect:.0e}"
    if effect >= 0.1:
        return f"{effect:.3g}"
    return f"{effect:.3f}" if effect >= 0.001 else "<0.001"


def _in_words(effects: Mapping[str, float]) -> str:
    ranked = sorted(effects.items(), key=lambda item: -item[1])
    return "Effect of the blocks: " + (", ".join(f"{block} {effect:.3g}" for block, effect in ranked) or "none")
