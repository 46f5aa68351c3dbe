"""Pictures dropped onto the tab become a dataset folder.

JavaScript takes the drop (whole folders too) and hands the files to a hidden gradio file box, which uploads them behind
the WebUI's own login. gradio 4 cleans file names, and captions are found by name, so the names travel beside the files.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gradio as gr

from lib_trainer.data.scanning import new_folder
from lib_trainer.errors import UserError
from lib_trainer.ui.method_part import FOR_PICTURES
from lib_trainer.ui.run_buttons import HIDDEN

_ZONE = """<div id="train_lora_drop" class="tl-drop">
<span>Drop pictures and captions here for a new dataset folder, or</span>
<button type="button" id="train_lora_choose" class="tl-button">choose files</button>
<input type="file" id="train_lora_files" multiple accept="image/*,.txt,.caption" hidden>
<div id="train_lora_drop_state" class="tl-quiet"></div></div>"""


class DropZone:
    """The zone and the hidden controls behind it.

    Attributes:
        files: the uploaded files. names: their names as a JSON list, in the same order, after the dataset's name.
    """

    def __init__(self, datasets: Path) -> None:
        """Puts dropped pictures into folders of `datasets`, which is made when it is missing."""
        self._datasets = datasets

    def lay_out(self) -> None:
        """Makes the controls."""
        gr.HTML(_ZONE, elem_classes=[FOR_PICTURES])
        self.files = gr.File(file_count="multiple", elem_id="train_lora_dropped", elem_classes=HIDDEN)
        self.names = gr.Textbox("", show_label=False, elem_id="train_lora_dropped_names", elem_classes=HIDDEN)

    def take(self, files: Sequence[Any], names: str) -> tuple[Path, list[str]]:
        """Moves uploaded files into their dataset folder; returns it and one sentence per file not taken.

        Args:
            files: gradio's uploaded files (`name` = path of the upload).
            names: JSON list: name of the dataset, then the files' own names.

        Raises:
            UserError: no usable name, no usable file, or the disk refuses.
        """
        dataset, *own = json.loads(names or "[]") or [""]
        uploads = [Path(file.name) for file in files]
        if len(own) != len(uploads):
            raise UserError(f"{len(uploads)} of {len(own)} dropped files arrived: drop them once more.")
        try:
            with ExitStack() as opened:
                contents = [opened.enter_context(upload.open("rb")) for upload in uploads]
                return new_folder.add(self._datasets, dataset, zip(own, contents, strict=True))
        finally:
            for upload in uploads:
                upload.unlink(missing_ok=True)
