"""The card under the picture folder: thumbnails, what was found, and the steps that follow, as HTML.

Words and numbers are separate text nodes, so that a WebUI's translation table finds the words. Thumbnails travel inside
the HTML, so that no file of the person's disk has to be served.
"""
from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING

from lib_trainer.data.concepts import Concept
from lib_trainer.data.item import Item
from lib_trainer.data.scanning.opening import UnreadablePicture, open_small
from lib_trainer.data.scanning.pairs import sides
from lib_trainer.ui import notes

if TYPE_CHECKING:
    from lib_trainer.training.forecast import Forecast

_THUMBNAILS = 12
_ROWS = 12
"""Concepts that are shown one by one."""

_SIDE = 96
"""Pixels of a thumbnail's longer side."""

_ONE = {
    "pictures": "picture", "pairs of pictures": "pair of pictures", "captions": "caption",
    "regularisation pictures": "regularisation picture", "uses per epoch": "use per epoch", "epochs": "epoch",
    "steps": "step", "concepts": "concept",
}
"""What is counted -> what one of it is called."""


def card(forecast: Forecast) -> str:
    """Returns the card of a folder that was read, or of the prompts that take its place."""
    if forecast.concepts:
        return (f'<div class="tl-card">{_concepts(forecast)}{notes.problems(forecast.problems)}'
                f"{_folded(forecast.warnings)}</div>")
    shown = forecast.items[:_THUMBNAILS]
    thumbnails = "".join(_pair(item) if item.partner else _image(item) for item in shown)
    more = len(forecast.items) - len(shown)
    if more > 0:
        thumbnails += f"<span class='tl-more'>+{more:,}</span>"
    return (f'<div class="tl-card"><div class="tl-thumbs">{thumbnails}</div>{_facts(forecast)}'
            f"{notes.problems(forecast.problems)}{_folded(forecast.warnings)}</div>")


def _image(item: Item) -> str:
    source = _thumbnail(item, _changed(item))
    return f'<img src="{source}" title="{escape(item.caption or item.path.name)}">' if source else ""


def _pair(item: Item) -> str:
    """Returns both pictures of a pair side by side."""
    return f'<span class="tl-couple">{"".join(map(_image, sides([item])))}</span>'


def _changed(item: Item) -> int:
    """The file's time, so that an edited picture is drawn anew; 0 when the file has gone meanwhile."""
    try:
        return item.path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=256)
def _thumbnail(item: Item, changed: int) -> str:
    """Returns a picture as a small JPEG data address, "" when it cannot be read (the run lists it).

    `changed` is there to be part of the cache's key.
    """
    try:
        image = open_small(item.path, _SIDE)
    except UnreadablePicture:
        return ""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _facts(forecast: Forecast) -> str:
    pictures = len(forecast.items)
    if not pictures:
        return ""
    kind = "pairs of pictures" if forecast.items[0].partner else "pictures"
    facts = [(pictures, kind, ""), (forecast.captioned, "captions", "tl-low" * (forecast.captioned < pictures))]
    if forecast.reg_pictures:
        facts.append((forecast.reg_pictures, "regularisation pictures", ""))
    if forecast.held_out:
        facts.append((forecast.held_out, "held out", ""))
    if forecast.steps:
        facts += [(forecast.samples, "uses per epoch", ""), (forecast.epochs, "epochs", ""),
                  *([(forecast.runs, "runs, each of", "tl-strong")] if forecast.runs > 1 else []),
                  (forecast.steps, "steps", "tl-strong")]
    return f'<div class="tl-facts">{_cells(facts)}</div>{_details(forecast)}'


def _concepts(forecast: Forecast) -> str:
    """What is learned from prompts: how much, and which prompt comes to say what."""
    lines = len({one.label for one in forecast.concepts})
    facts = [(lines, "concepts", ""), *([(forecast.steps, "steps", "tl-strong")] if forecast.steps else [])]
    rows = "".join(
        f"<tr><td>{_prompt(one.target)}</td><td>{_goal(one)}</td><td>{one.strength:g}</td></tr>"
        for one in forecast.concepts[:_ROWS])
    more = len(forecast.concepts) - _ROWS
    beyond = f'<p class="tl-quiet">+{more:,}</p>' if more > 0 else ""
    return (f'<div class="tl-facts">{_cells(facts)}</div><details><summary>What is learned</summary><table>'
            f"<tr><th>With the prompt</th><th>it draws as if asked for</th><th>at strength</th></tr>{rows}</table>"
            f"{beyond}</details>")


def _goal(one: Concept) -> str:
    """Returns what the model comes to say under the target prompt, as a sum of prompts."""
    if one.guidance == 1.0 and one.unconditional == one.neutral:
        return _prompt(one.positive)
    sign = "-" if one.guidance < 0 else "+"
    return (f"{_prompt(one.neutral)} {sign} {abs(one.guidance):g} × ({_prompt(one.positive)} - "
            f"{_prompt(one.unconditional)})")


def _prompt(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else '<code>""</code>'


def _cells(facts: Sequence[tuple[int, str, str]]) -> str:
    return "".join(f'<span class="{style}"><b>{number:,}</b> <small>{_called(number, word)}</small></span>'
                   for number, word, style in facts)


def _called(number: int, word: str) -> str:
    return _ONE.get(word, word) if number == 1 else word


def _details(forecast: Forecast) -> str:
    """The folders with their repeats and the bucket sizes, folded."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{repeats}</td><td>{count:,}</td></tr>"
                   for name, repeats, count in forecast.folders)
    kind = "Pairs" if forecast.items[0].partner else "Pictures"
    sizes = " · ".join(f"{width}x{height}: {uses:,}" for width, height, uses in forecast.sizes)
    return ("<details><summary>Folders and sizes</summary><table>"
            f"<tr><th>Folder</th><th>Repeats</th><th>{kind}</th></tr>{rows}</table>"
            f"<p><span>Uses per epoch by size:</span> <code>{sizes}</code></p>"
            f"<p><span>Cached latents need:</span> <code>{_bytes(forecast.cache_bytes)}</code></p></details>")


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _folded(warnings: list[str]) -> str:
    if not warnings:
        return ""
    rows = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return (f'<details class="tl-note tl-warn"><summary><span>Things to know:</span> <b>{len(warnings)}</b></summary>'
            f"<ul>{rows}</ul></details>")
