"""Settings as TOML text. The standard library reads TOML and does not write it; settings need three shapes only.

A basic string of TOML takes JSON's escapes, so texts are written as JSON (without its one escape more, of code points
above 0xFFFF as pairs: they are written as themselves).
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def table(values: Mapping[str, Any]) -> str:
    """Returns one line per value: texts, numbers, switches, lists of them."""
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def section(head: str, values: Mapping[str, Any]) -> str:
    """Returns a table with its head, such as "[general]" or "[[datasets]]"."""
    return f"\n{head}\n{table(values)}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
