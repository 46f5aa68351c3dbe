"""Two pictures, before and after, chosen or dropped side by side, become a pair in a dataset folder.

For methods that learn from pairs, and shown with them (`method_part`). JavaScript (`train_lora_pairs.js`) shows the
pictures before anything is sent, and hands both files to a hidden gradio file box, which uploads them behind the
WebUI's own login. Names and captions travel beside the files, as in the drop zone.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.training.settings.method import PAIRS
from lib_trainer.ui.method_part import class_of
from lib_trainer.ui.run_buttons import HIDDEN

_SLOT = """<div class="tl-drop tl-slot" data-side="{side}"><b>{title}</b><img alt="" hidden>
<span>{what}</span><button type="button" class="tl-button">choose a picture</button>
<input type="file" accept="image/*" hidden>
<label><span>{caption}</span><textarea rows="1"></textarea></label></div>"""

_CARD = """<div id="train_lora_pairs" class="tl-pairs">
<div class="tl-slots">{before}{after}</div>
<button type="button" id="train_lora_pair_add" class="tl-button">Add the pair</button>
<span id="train_lora_pair_state" class="tl-quiet"></span></div>"""


class PairCard:
    """The card and the hidden controls behind it.

    Attributes:
        files: the two uploaded files, the first picture's first.
        facts: JSON: name of the dataset, names and captions of the two pictures.
    """

    def __init__(self, datasets: Path) -> None:
        """Puts pairs into folders of `datasets`, which is made when it is missing."""
        self._datasets = datasets

    def lay_out(self) -> None:
        """Makes the controls."""
        before = _SLOT.format(side=0, title="Before", what="Drop the first picture here, or", caption="Its caption")
        after = _SLOT.format(side=1, title="After", what="Drop the second picture here, or",
                             caption="Its caption; empty = the same")
        gr.HTML(_CARD.format(before=before, after=after), elem_classes=[class_of(PAIRS)])
        self.files = gr.File(file_count="multiple", elem_id="train_lora_pair_files", elem_classes=HIDDEN)
        self.facts = gr.Textbox("", show_label=False, elem_id="train_lora_pair_facts", elem_classes=HIDDEN)

    def take(self, files: Sequence[Any], facts: str, settings: Mapping[str, Any]) -> Path:
        """Moves two uploaded pictures into a dataset folder and returns it.

        It is the picture folder that is set, where that was made here; else one of the dataset's name.

        Args:
            files: gradio's uploaded files (`name` = path of the upload).
            facts: what `facts` holds.
            settings: of the form: picture folder, endings of pairs, ending of captions.

        Raises:
            UserError: not two files, no picture, no usable name, or the disk refuses.
        """
        from lib_trainer.data.scanning import new_pair
        from lib_trainer.data.scanning.new_pair import Half
        from lib_trainer.data.scanning.pairs import Endings

        told = json.loads(facts or "{}")
        uploads = [Path(file.name) for file in files]
        try:
            if len(uploads) != 2 or len(told.get("names", [])) != 2:
                raise UserError(f"{len(uploads)} of 2 pictures arrived: choose both once more.")
            first, second = (Half(name, file, caption) for name, file, caption in
                             zip(told["names"], uploads, told["captions"], strict=True))
            endings = Endings(settings["before_suffix"], settings["after_suffix"])
            return new_pair.add(self._datasets, self._dataset(settings["images"], told["dataset"]), (first, second),
                                endings, settings["caption_extension"])
        finally:
            for upload in uploads:
                upload.unlink(missing_ok=True)

    def _dataset(self, images: str, name: str) -> str:
        folder = Path(images.strip().strip('"'))
        return folder.name if images and folder.parent == self._datasets and folder.is_dir() else name
