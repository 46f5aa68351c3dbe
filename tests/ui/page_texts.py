"""Every text that a person can read on the page before anything has happened, and those that scripts show later.

Collected from the sources of the texts themselves: the built Blocks, the settings' declarations, the goals, and the
calls of `t("...")` and `note("...")` in our code. Texts with values in them (faults, warnings) are made at run time and
stay English; so do names of samplers, optimisers and files.
"""
from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from lib_trainer.training.config import GROUPS
from lib_trainer.training.goals import GOALS
from lib_trainer.ui import train_tab, webui_settings
from lib_trainer.ui.form import FIELDS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted((ROOT / "javascript").glob("*.js")), ROOT / "lib_trainer" / "ui" / "embedded.js"]

_CALLS = re.compile(r'\bt\("((?:[^"\\]|\\.)*)"')
_NOTES = re.compile(r'\bnote\("((?:[^"\\]|\\.)*)"\)')
_VALUES = {"code", "i", "b", "td"}
"""Elements that hold values, not texts; so do lists of facts with dots between."""
_WORDS = re.compile(r"[^\W\d_]{2}")


def settings() -> set[str]:
    """Labels, help texts, groups and goals."""
    found = {field.metadata[key] for field in FIELDS.values() for key in ("label", "help")}
    found |= {*GROUPS[1:], train_tab.NO_GOAL, train_tab.TITLE}
    return found | {text for goal in GOALS.values() for text in (goal.label, goal.reason)}


def of_webui_settings(folder: Path) -> set[str]:
    """Labels and help texts of our section among a WebUI's settings."""
    return {text for row in webui_settings.rows(folder) for text in row[2:4]}


def of_scripts() -> set[str]:
    """Texts that JavaScript shows."""
    return {text for path in SCRIPTS for text in _CALLS.findall(path.read_text(encoding="utf8"))}


def of_notes() -> set[str]:
    """Good news that Python shows."""
    sources = sorted((ROOT / "lib_trainer" / "ui").glob("*.py"))
    return {text for path in sources for text in _NOTES.findall(path.read_text(encoding="utf8"))}


def of_blocks(config: dict[str, Any]) -> set[str]:
    """Labels, help texts, buttons and HTML of built Blocks (their config file)."""
    found: set[str] = set()
    for component in config["components"]:
        props = component["props"]
        found |= {props.get("label"), props.get("info")} - {None, ""}
        if component["type"] == "button" and "tl-hidden" not in (props.get("elem_classes") or []):
            found.add(props["value"])
        if component["type"] == "html":
            found |= of_html(props["value"])
    return found


def of_html(markup: str) -> set[str]:
    """Text nodes with words in them, except those of code."""
    reader = _Texts()
    reader.feed(markup or "")
    return reader.found


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("img", "input", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if _WORDS.search(data) and not _VALUES.intersection(self._open) and " · " not in data:
            self.found.add(data.strip())
