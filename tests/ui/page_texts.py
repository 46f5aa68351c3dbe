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

import gradio as gr
from PIL import Image

from lib_trainer.blocks import elements, merging, presets
from lib_trainer.blocks.element_editing import ELEMENTS
from lib_trainer.blocks.preset_editing import PRESETS
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import split
from lib_trainer.compare import pictures, quick
from lib_trainer.compare.analysis import PICTURES, QUICK, Analysis
from lib_trainer.compare.block_groups import Group
from lib_trainer.compare.picture_run import Findings
from lib_trainer.compare.ranking import Effect
from lib_trainer.compare.subject import NO_PRESETS, Subject
from lib_trainer.host import Host
from lib_trainer.training.goals import GOALS
from lib_trainer.training.settings.declare import GROUPS
from lib_trainer.training.settings.method import NEEDS
from lib_trainer.ui import train_tab, webui_settings, workbench_tab
from lib_trainer.ui.block_weight import analysis_view, import_fold, panel
from lib_trainer.ui.form import FIELDS
from lib_trainer.ui.method_part import MethodPart
from lib_trainer.workbench.forms.table import FORMS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted((ROOT / "javascript").glob("*.js")), ROOT / "lib_trainer" / "ui" / "embedded.js"]

_CALLS = re.compile(r'\bt\("((?:[^"\\]|\\.)*)"')
_PROGRESS = re.compile(r'\bProgress\(.*"([^"]+)"\)')
_NOTES = re.compile(r'\bnote\("((?:[^"\\]|\\.)*)"[,)]')
_VALUES = {"code", "i", "b", "td", "style"}
"""Elements that hold values, not texts; so do lists of facts with dots between."""
_WORDS = re.compile(r"[^\W\d_]{2}")


def settings() -> set[str]:
    """Labels, help texts, groups and goals."""
    found = {field.metadata[key] for field in FIELDS.values() for key in ("label", "help")}
    found |= {*GROUPS[1:], train_tab.NO_GOAL, train_tab.TITLE}
    return found | {text for goal in GOALS.values() for text in (goal.label, goal.reason)}


def of_methods() -> set[str]:
    """What the first screen says of each method."""
    return {text for method in NEEDS for text in of_html(MethodPart.told(method))}


def of_webui_settings(folder: Path) -> set[str]:
    """Labels and help texts of our section among a WebUI's settings."""
    return {text for row in webui_settings.rows(folder) for text in row[2:4]}


def of_scripts() -> set[str]:
    """Texts that JavaScript shows."""
    return {text for path in SCRIPTS for text in _CALLS.findall(path.read_text(encoding="utf8"))}


def of_notes() -> set[str]:
    """Good news that Python shows."""
    sources = sorted((ROOT / "lib_trainer" / "ui").rglob("*.py"))
    return {text for path in sources for text in _NOTES.findall(path.read_text(encoding="utf8"))}


def of_blocks(config: dict[str, Any]) -> set[str]:
    """Labels, help texts, buttons and HTML of built Blocks (their config file)."""
    found: set[str] = set()
    for component in config["components"]:
        props = component["props"]
        if props.get("visible") is False and "_script_" in (props.get("elem_id") or ""):
            continue  # values that only API clients send
        found |= {props.get("label"), props.get("info")} - {None, ""}
        if component["type"] == "button" and "tl-hidden" not in (props.get("elem_classes") or []):
            found.add(props["value"])
        if component["type"] == "html":
            found |= of_html(props["value"])
    return found


def of_webui_panel(host: Host) -> set[str]:
    """Texts of the Block Weight panel as it is under a WebUI's tab."""
    with gr.Blocks() as page:
        panel.BlockWeightPanel(host, "txt2img").lay_out(gr.Textbox(""))
    return of_blocks(page.get_config_file())


def of_analysis() -> set[str]:
    """Texts of an analysis' results: heads of its table, what its numbers are called."""
    about = Subject("x", Path("x"), "<lora:x:1>", "sd15", (), resolve(split("<lora:x:1>")[1][0], NO_PRESETS, "sd15"))
    black, found = Image.new("RGB", (8, 8)), set()
    for mode, measures in ((QUICK, (quick.WITHOUT, quick.ONLY)), (PICTURES, (pictures.MEAN, pictures.CHANGED))):
        effects = [Effect("M00", ("M00",), 1.0, dict.fromkeys(measures, 1.0), 1.0)]
        pairs = [pictures.Pair(Group("M00", ("M00",)), 1, black, black, black, 1.0, 1.0)] if mode == PICTURES else []
        findings = Findings(Analysis(mode, about, "x", effects, 1.0, None, 1, 1.0), pairs=pairs)
        found |= of_html(re.sub(r"<svg.*?</svg>", "", analysis_view.results(findings)))
    return found | {"predictions", "pictures", "Kept in"}


def of_entries() -> set[str]:
    """Hints of the shipped presets and rules, and what an import tells."""
    items = [item for form, shipped in ((PRESETS, presets.SHIPPED), (ELEMENTS, elements.SHIPPED))
             for item in form.items(shipped.read_text(encoding="utf8"))]
    told = of_html(import_fold.report(merging.Merge("")))
    return {item.hint.text for item in items} | told | {"folklore", import_fold.PEER_BUTTON, *import_fold.CLASHES}


def of_workbench() -> set[str]:
    """Texts of the workbench's forms, what its operations say that they do, and the tab's title."""
    found = {workbench_tab.TITLE}
    for form in FORMS.values():
        found |= {form.title, form.button, form.summary}
        for field in form.fields:
            names = (name for word, name in field.choices.items() if name != word)
            found |= {field.label, field.help, field.fold, *names} - {""}
    sources = sorted((ROOT / "lib_trainer" / "workbench").rglob("*.py"))
    return found | {text for path in sources for text in _PROGRESS.findall(path.read_text(encoding="utf8"))}


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
