"""Single values as pages and API clients send them: what can be read is read, what cannot becomes a sentence."""
from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from lib_trainer.blocks.values import shortened


def text(values: Mapping[str, Any], name: str, told: list[str]) -> str:
    """Returns a text; "" where there is none."""
    value = values.get(name)
    if value is None:
        return ""
    if is_item(value):
        return str(value)
    told.append(ignored(name, value, "text"))
    return ""


def flag(values: Mapping[str, Any], name: str, default: bool, told: list[str]) -> bool:
    """Returns whether something is switched on."""
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return default if value is None else value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    told.append(ignored(name, value, "true or false"))
    return default


def choice(values: Mapping[str, Any], name: str, words: Sequence[str], told: list[str]) -> int:
    """Returns the place of a word: gradio sends a choice by its place, the hosts' API its first value as the word."""
    value = values.get(name)
    folded = [word.casefold() for word in words]
    if value is None:
        return 0
    if isinstance(value, str) and value.strip().casefold() in folded:
        return folded.index(value.strip().casefold())
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value in range(len(words)):
        return int(value)
    told.append(ignored(name, value, " or ".join(f"{place} ({word})" for place, word in enumerate(words))))
    return 0


def is_item(value: Any) -> bool:
    """Whether a value is one item of a list: a number or a word."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def is_listable(value: Any) -> bool:
    """Whether a value is a list of items, or the text of one."""
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and all(map(is_item, value)))


def ignored(name: str, value: Any, wanted: str) -> str:
    """The sentence about a value that cannot be read."""
    return f"'{shortened(name)}' of the block weights must be {wanted}, got {shortened(repr(value))}: it was ignored."


def unknown(key: str, known: Sequence[str]) -> str:
    """The sentence about a key that stands for nothing."""
    near = difflib.get_close_matches(key, known, 1)
    advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}."
    return f"'{shortened(key)}' is nothing that the block weights know and was ignored: {advice}"
