"""What a training learns from, on the first screen of the tab: the base model, and pictures, pairs or prompts.

A person names a folder, drops pictures, adds a pair or writes prompts, and the part tells what will come of it before
anything is trained: the line about the checkpoint, the dataset card and, for pictures, the fold of buckets. Which of
the controls are shown follows from the method.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training import config_reading
from lib_trainer.training.settings.method import PROMPTED
from lib_trainer.ui import checkpoint_line, notes
from lib_trainer.ui.bucket_fold import BucketFold
from lib_trainer.ui.drop_zone import DropZone
from lib_trainer.ui.form import Form, Value
from lib_trainer.ui.method_part import FOR_PICTURES, FOR_PROMPTS, MethodPart, seen
from lib_trainer.ui.pair_card import PairCard

if TYPE_CHECKING:
    from gradio.components import Component

    from lib_trainer.data.bucket_report import BucketReport


class MaterialPart:
    """The part's controls, what happens when they are used, and what is told of them.

    Attributes:
        looked: the settings that the last look at the form was about, or None.
        shown: what `look` updates.
    """

    looked: Component
    shown: list[Component]

    def __init__(self, host: Host, form: Form, mark: Callable[[], str]) -> None:
        """Makes the part.

        Args:
            host: its checkpoints, and the folder that dropped pictures go to.
            form: the settings' controls.
            mark: returns what tells JavaScript that something was pressed, new each time.
        """
        self._host, self._form, self._mark = host, form, mark
        datasets = host.paths.settings / "datasets"
        self._drop, self._pair = DropZone(datasets), PairCard(datasets)
        self._buckets, self._method = BucketFold(self._report), MethodPart()

    def lay_out(self, method: str) -> None:
        """Makes the controls, as they are for a method; `connect` joins them."""
        checkpoint = gr.HTML("", elem_id="train_lora_checkpoint")
        self._form.add("base_model")
        self._method.lay_out(method)
        self._form.add("images", placeholder="C:\\pictures\\zunko", elem_classes=[FOR_PICTURES])
        self._form.add("concepts", placeholder="open eyes -> closed eyes", elem_classes=[FOR_PROMPTS])
        self._drop.lay_out()
        self._dropped = gr.HTML("", elem_id="train_lora_drop_told")
        self._pair.lay_out()
        self._paired = gr.HTML("", elem_id="train_lora_pair_told")
        card = gr.HTML("", elem_id="train_lora_dataset")
        self._buckets.lay_out()
        self.looked = gr.State(value=None)
        self.shown = [checkpoint, card, self.looked]

    def connect(self, **event: Any) -> None:
        """Joins the controls; every field of the form must have been made."""
        form = self._form
        self._buckets.connect(self.looked, **event)
        self._method.connect(form.controls["method"], **event)
        self._drop.files.upload(
            self.on_drop, [self._drop.files, self._drop.names, *form.inputs],
            [self._drop.files, self._dropped, form.controls["images"], *self.shown], **event)
        self._pair.files.upload(
            self.on_pair, [self._pair.files, self._pair.facts, *form.inputs],
            [self._pair.files, self._paired, form.controls["images"], form.controls["after_images"], *self.shown],
            **event)

    def on_drop(self, files: Sequence[Any] | None, names: str, *values: Value) -> list[Any]:
        """Makes dropped pictures the picture folder; the mark tells JavaScript that they have arrived."""
        settings, mark = self._form.read(values), f"<i hidden>{self._mark()}</i>"
        try:
            folder, refused = self._drop.take(files or [], names)
        except UserError as error:
            return [None, mark + notes.problems_of(error), *(gr.update() for _ in range(4))]
        settings["images"] = str(folder)
        return [None, mark + notes.warnings(refused), gr.update(value=str(folder)), *self.look(settings)]

    def on_pair(self, files: Sequence[Any] | None, facts: str, *values: Value) -> list[Any]:
        """Adds two pictures as a pair to a dataset folder, which becomes the picture folder."""
        settings, mark = self._form.read(values), f"<i hidden>{self._mark()}</i>"
        try:
            folder = str(self._pair.take(files or [], facts, settings))
        except UserError as error:
            return [None, mark + notes.problems_of(error), *(gr.update() for _ in range(5))]
        settings |= {"images": folder, "after_images": ""}
        told = mark + f'<span class="tl-added">{notes.note("The pair was added.")}</span>'
        return [None, told, gr.update(value=folder), gr.update(value=""), *self.look(settings)]

    def look(self, settings: dict[str, Any]) -> list[Any]:
        """Returns the updates of `shown`: checkpoint line, dataset card and the settings they belong to."""
        from lib_trainer.training import forecast
        from lib_trainer.ui import dataset_card

        line, told = checkpoint_line.told(self._host, settings)
        card = ""
        if _has_material(settings):
            config, _ = config_reading.read(seen(settings))
            found = forecast.forecast(config, self._host)
            self._buckets.keep(settings, found.report)
            card = dataset_card.card(replace(
                found, problems=[sentence for sentence in found.problems if sentence not in told],
                warnings=[sentence for sentence in found.warnings if sentence not in told]))
        return [line, card, settings]

    def as_before(self, settings: dict[str, Any]) -> list[Any]:
        """Returns the updates of `shown` for settings that were looked at: only the loaded checkpoint may differ."""
        return [checkpoint_line.told(self._host, settings)[0], gr.update(), settings]

    def _report(self, settings: dict[str, Any]) -> BucketReport | None:
        from lib_trainer.training import forecast

        if not _has_material(settings):
            return None
        return forecast.forecast(config_reading.read(seen(settings))[0], self._host).report


def _has_material(settings: dict[str, Any]) -> bool:
    """Whether the form names something to learn from, so that there is something to look at."""
    if settings["method"] in PROMPTED:
        return bool(settings["concepts"] or settings["concepts_file"])
    return any(settings[name] for name in ("images", "datasets", "metadata_file"))
