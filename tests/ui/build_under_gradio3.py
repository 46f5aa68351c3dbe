"""Builds our tabs and the Block Weight panel under AUTOMATIC1111's gradio 3.41.2; by hand and by `.ci/run`.

Needs gradio 3.41.2 and what it brings, nothing else: no torch, no pytest. Prints one line when all is well.
"""
from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths
from lib_trainer.jobs import Jobs
from lib_trainer.keeping import AS_IT_IS, Keeping
from lib_trainer.ui import train_tab, workbench_tab
from lib_trainer.ui.block_weight.panel import BlockWeightPanel
from lib_trainer.ui.form import FIELDS


class EmptyHost:
    """A WebUI that has loaded no checkpoint yet: the state in which its tabs are built."""

    name = "a WebUI without a checkpoint"

    def __init__(self, folder: Path) -> None:
        self.paths = HostPaths(loras=folder, outputs=folder, settings=folder, cache=folder)

    def checkpoint(self, base: Path | None = None) -> None:
        raise UserError("No checkpoint is loaded.")

    def checkpoints(self) -> list[Path]:
        return []

    def obstacles(self, keeping: Keeping = AS_IT_IS) -> list[str]:
        return []

    def presets(self) -> Presets:
        return Presets.shipped()

    def elements(self) -> Elements:
        return Elements.shipped()


@dataclass(frozen=True)
class App:
    """What a WebUI's bootstrap hands to the tab."""

    host: EmptyHost
    jobs: Jobs


def main() -> int:
    """Builds the tab inside another page, as WebUIs do, and presses what needs no torch."""
    with tempfile.TemporaryDirectory() as name:
        host = EmptyHost(Path(name))
        tab = train_tab.TrainTab(App(host, Jobs(host)), ["Euler a"], train_tab.Draft())
        with gr.Blocks() as inner:
            tab.lay_out()
        with gr.Blocks(), gr.Tabs(), gr.Tab(train_tab.TITLE):
            inner.render()
        ids = {component.elem_id for component in inner.blocks.values()}
        missing = {f"train_lora_{field}" for field in FIELDS} - ids
        if missing:
            print(f"controls are missing: {', '.join(sorted(missing))}")
            return 1
        if len(tab.on_restore()) != 1 + 2 + 3 + len(tab.files.lists) + len(FIELDS):
            print("Restore fills another number of controls than the form has.")
            return 1
        return workbench_stands(App(host, Jobs(host))) or panel_stands(host)


def workbench_stands(app: App) -> int:
    """Builds the workbench inside another page and presses its button with nothing filled in."""
    inner = workbench_tab.build(app)
    with gr.Blocks(), gr.Tabs(), gr.Tab(workbench_tab.TITLE):
        inner.render()
    answer = workbench_tab.WorkbenchTab(app).on_wish('["start", "merge", {}, 1]')
    if "LoRAs is empty" not in answer:
        print(f"The workbench answers {answer!r}.")
        return 1
    return 0


def panel_stands(host: EmptyHost) -> int:
    """Builds the panel, changes a preset and a rule, and asks for what a folded panel shows."""
    with gr.Blocks() as page:
        panel = BlockWeightPanel(host, "txt2img")
        panel.lay_out(gr.Textbox())
    for part, body in ((panel.presets, ",".join("1" * 17)), (panel.elements, "IN05-OUT05:attn:0.5")):
        views = part.entries.on_copy(part.entries.on_put("MINE", body)[3])
        if len(views) != len(part.views) or "MINE_2" not in views[0]:
            print(f"The entries of {part.entries.id('')} cannot be changed.")
            return 1
    loads = [block for block in page.blocks.values() if getattr(block, "elem_id", None)]
    print(f"Tab and panel stand under gradio {gr.__version__}: {len(FIELDS)} settings, {len(loads)} named controls.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
