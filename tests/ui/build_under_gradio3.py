"""Builds the Train LoRA tab under AUTOMATIC1111's gradio 3.41.2; run by hand and by `.ci/run`.

Needs gradio 3.41.2 and what it brings, nothing else: no torch, no pytest. Prints one line when all is well.
"""
from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths
from lib_trainer.jobs import Jobs
from lib_trainer.ui import train_tab
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

    def obstacles(self) -> list[str]:
        return []


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
        if len(tab.on_restore()) != 1 + 6 + len(FIELDS):
            print("Restore fills another number of controls than the form has.")
            return 1
    print(f"The tab stands under gradio {gr.__version__}: {len(FIELDS)} settings.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
