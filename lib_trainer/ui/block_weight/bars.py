"""Block weights as a small picture: one bar a block, up for positive, down for negative, grouped as the U-Net is."""
from __future__ import annotations

from collections.abc import Mapping
from html import escape

from lib_trainer.blocks.layouts import BASE, MIDDLE
from lib_trainer.blocks.values import Unreadable, read_number

_TALLEST = 1.0
"""Weight of a bar of full height; what is beyond is drawn full and marked."""

_MANY = 30
"""More blocks than this are drawn narrow."""

ABSENT = ""
"""Stands for the number of a block that is not there."""


def bars(numbers: Mapping[str, str], label: str = "") -> str:
    """Returns the picture of a list.

    Args:
        numbers: the block weights as text by block, in the order of the layout; ABSENT for a block without one.
        label: what the picture shows, for those who hear the page; "" = the numbers.
    """
    groups: dict[str, list[str]] = {}
    for block, text in numbers.items():
        groups.setdefault(_group(block), []).append(_bar(block, text))
    inside = "".join(f"<span>{''.join(group)}</span>" for group in groups.values())
    style = "tl-bars tl-many" if len(numbers) > _MANY else "tl-bars"
    heard = escape(label or ", ".join(numbers.values()))
    return f'<span class="{style}" role="img" aria-label="{heard}">{inside}</span>'


def _group(block: str) -> str:
    return block if block in (BASE, MIDDLE) else block.rstrip("0123456789")


def _bar(block: str, text: str) -> str:
    if text == ABSENT:
        return f'<i class="tl-none" title="{escape(block)}"></i>'
    title = f'title="{escape(block)}: {escape(text)}"'
    try:
        number = read_number(text)
    except Unreadable:
        return f'<i class="tl-open" {title}></i>'
    kind = "tl-zero" if number == 0 else "tl-minus" if number < 0 else "tl-over" if number > _TALLEST else ""
    return f'<i class="{kind}" style="--tl-tall:{min(abs(number), _TALLEST):.2f}" {title}></i>'
