"""The checkpoint drop-down above the tabs: which file is loaded, and loading another one while the page runs."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.txt2img_host import Txt2ImgHost
from lib_trainer.ui import notes


class CheckpointPicker:
    """The drop-down."""

    def __init__(self, host: Txt2ImgHost) -> None:
        self._host = host

    def lay_out(self) -> None:
        """Makes the controls; `connect` joins them to what depends on the checkpoint."""
        with gr.Row(elem_id="checkpoint_row", elem_classes=["tl"]), gr.Column():
            self.choice = gr.Dropdown(
                list(self._files()), value=self._loaded(), label="Checkpoint", elem_id="setting_sd_model_checkpoint",
                info="Files of the models folder. A training that runs waits until its checkpoint is back.",
            )
            self.told = gr.HTML("", elem_id="checkpoint_told")

    def connect(self, width: gr.Slider, height: gr.Slider) -> None:
        """Loads what is chosen; width and height follow the new checkpoint's own size."""
        self.choice.input(self.on_choose, [self.choice], [self.choice, self.told, width, height], api_name=False)
        self.choice.focus(
            self.on_look, [self.choice], [self.choice], api_name=False, queue=False, show_progress="hidden")

    def on_choose(self, name: str) -> list[Any]:
        """Loads a checkpoint; when it cannot be used the present one stays, and the reason is told."""
        path = self._files().get(name)
        try:
            if path is None:
                raise UserError(f"{name} is no longer in the models folder: choose another checkpoint.")
            self._host.load_model(path)
        except UserError as error:
            return [gr.update(value=self._loaded()), notes.problems_of(error), gr.update(), gr.update()]
        side = self._host.checkpoint().resolution
        return [gr.update(value=self._loaded()), "", gr.update(value=side), gr.update(value=side)]

    def on_look(self, chosen: str) -> dict[str, Any]:
        """Lists the files as they are now."""
        return gr.update(choices=list(self._files()), value=chosen)

    def _files(self) -> dict[str, Path]:
        """Checkpoint files by the name shown: the file's, with its folder where two have the same."""
        files = self._host.checkpoints()
        names = [path.name for path in files]
        return {path.name if names.count(path.name) == 1 else str(path): path for path in files}

    def _loaded(self) -> str | None:
        path = self._host.checkpoint().path
        return next((name for name, file in self._files().items() if file == path), None)
