"""The row in the Memory fold that says what the caches take on the disk, and empties them."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.ui import notes
from lib_trainer.ui.app import App

if TYPE_CHECKING:
    from lib_trainer.data.caches.cache_folder import CacheSize


class CacheRow:
    """Two buttons and what they tell."""

    def __init__(self, app: App) -> None:
        self._app = app

    def lay_out(self) -> None:
        """Makes the controls."""
        with gr.Row(elem_classes=["tl-small-buttons"]):
            self.measure = gr.Button("Measure the caches on disk", elem_id="train_lora_cache_measure")
            self.clear = gr.Button("Clear the caches on disk", elem_id="train_lora_cache_clear")
        self.told = gr.HTML("", elem_id="train_lora_cache_told")

    def connect(self, **event: Any) -> None:
        """Connects the buttons."""
        self.measure.click(self.on_measure, None, self.told, **event)
        self.clear.click(self.on_clear, None, self.told, **event)

    def on_measure(self) -> str:
        """Returns what the caches hold."""
        from lib_trainer.training import caching

        return told(caching.sizes(self._app.host.paths))

    def on_clear(self) -> str:
        """Empties the caches, unless a training uses them; returns what they hold then."""
        try:
            self._app.jobs.clear_caches()
        except UserError as error:
            return notes.problems_of(error)
        return self.on_measure()


def told(sizes: dict[str, CacheSize]) -> str:
    """Returns the caches' files and bytes as HTML."""
    words = {"latents": "cached pictures", "captions": "cached captions"}
    cells = "".join(
        f"<span><b>{size.files:,}</b> <small>{words[kind]}</small> <b>{size.bytes / 1e6:,.1f}</b> <small>MB</small>"
        "</span>"
        for kind, size in sizes.items())
    return f'<div class="tl-card"><div class="tl-facts">{cells}</div></div>'
