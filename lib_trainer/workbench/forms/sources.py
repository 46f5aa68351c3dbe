"""LoRAs with strengths and block weights, as a form has them: rows of the tab, or texts of the command line.

A row is an object: `lora`, `strength`, `te`, `unet`, `weights`. A text is a LoRA and what would come after its name in
a tag: `style.safetensors:0.8:NCNF`, or a whole tag.
"""
from __future__ import annotations

import re
from collections.abc import Mapping

from lib_trainer.errors import Problems, UserError
from lib_trainer.workbench.forms.asked import Asked, number_of
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.sources import Source

_TAG = re.compile(r"<lora:(.*)>")
_WITH_ENDING = re.compile(r"(.*?\.(?:safetensors|ckpt|pt|pth|bin))(?::(.*))?", re.IGNORECASE)
_NUMBERS = ("strength", "te", "unet")
_KEYS = ("lora", *_NUMBERS, "weights")
_CALLED = {"strength": "Strength"}
"""What the tab calls a number of a line; the others are asked for by no control."""


def read(value: object, asked: Asked, places: Places) -> list[Source]:
    """Returns the sources.

    Raises:
        Problems: all that is wrong with the rows.
    """
    rows = [value] if isinstance(value, str | dict) else value
    if not isinstance(rows, list):
        raise UserError(f"{asked.label} = {value!r} must be a list of LoRAs.")
    found, faults = [], []
    for number, row in enumerate(rows, 1):
        try:
            found.append(_source(row, places))
        except UserError as error:
            faults.append(f"{asked.label}, number {number}: {error}")
    if faults:
        raise Problems(faults)
    return found


def _source(row: object, places: Places) -> Source:
    if isinstance(row, str):
        row = _of_text(row)
    if not isinstance(row, Mapping) or not isinstance(row.get("lora"), str) or not row["lora"].strip():
        raise UserError("no LoRA is chosen: choose one, or remove the line.")
    if unknown := set(row) - set(_KEYS):
        raise UserError(f"{', '.join(sorted(unknown))} means nothing here; a line has {', '.join(_KEYS)}.")
    numbers = {name: number_of(row[name], _CALLED.get(name, name)) for name in _NUMBERS if row.get(name) is not None}
    weights = row.get("weights") or ""
    if not isinstance(weights, str):
        raise UserError(f"Block weights = {weights!r} must be a text.")
    return Source(places.lora(row["lora"].strip()), weights=weights.strip(), **numbers)


def _of_text(text: str) -> dict[str, str]:
    """Cuts `FILE:0.8:NCNF` after the file's ending, where a drive's colon stays; a name without one at its first."""
    if tag := _TAG.fullmatch(text.strip()):
        text = tag[1]
    found = _WITH_ENDING.fullmatch(text)
    name, after = (found[1], found[2] or "") if found else _cut(text)
    return {"lora": name, "weights": after}


def _cut(text: str) -> tuple[str, str]:
    name, _, after = text.partition(":")
    return (name, after) if len(name) > 1 else (text, "")  # C:\\folder
