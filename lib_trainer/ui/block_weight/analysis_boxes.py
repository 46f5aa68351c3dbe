"""What an analysis examines and how it compares pictures: boxes that the Analyze button and a WebUI's script share."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.compare import differences
from lib_trainer.compare.block_groups import AUTO, DEFAULT_RANGE, parse_range
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from gradio.components import Component

    from lib_trainer.compare.pictures import Settings


class AnalysisBoxes:
    """The boxes.

    Attributes:
        named: the components by the names of the script's values.
    """

    def __init__(self, prefix: str) -> None:
        """Starts without boxes; `prefix` begins all element ids."""
        self._prefix = prefix
        self.named: dict[str, Component] = {}

    def lay_out(self) -> None:
        """Makes the boxes: what is examined, and below it what matters for pictures only."""
        self.named["blocks"] = gr.Textbox(
            AUTO, label="Blocks to examine", elem_id=self._id("blocks"),
            info="Names and ranges with commas, 12ALL, 17ALL, 20ALL or 26ALL; AUTO: those the LoRA has.")
        with gr.Accordion("How pictures are compared", open=False, elem_id=self._id("comparing")):
            with gr.Row():
                self.named["range"] = gr.Textbox(
                    DEFAULT_RANGE, label="Range", elem_id=self._id("range"),
                    info="The weight of the examined block, and that of all others.")
                self.named["n_seeds"] = gr.Number(1, precision=0, label="Number of seeds", elem_id=self._id("seeds"),
                                                  info="Counted up from the first one.")
                self.named["threshold"] = gr.Textbox(
                    str(differences.THRESHOLD), label="Difference threshold", elem_id=self._id("threshold"),
                    info="Of 255.")
            with gr.Row():
                self.named["diffcolour"] = gr.Radio(
                    list(differences.GROUNDS), value=differences.BLACK, label="Ground of difference pictures",
                    elem_id=self._id("ground"))
                self.named["swapXY"] = gr.Checkbox(False, label="Blocks from left to right", elem_id=self._id("swap"))
        for box in self.named.values():
            box.do_not_save_to_config = True  # ui-config.json would hold on to old defaults

    def _id(self, part: str) -> str:
        return f"{self._prefix}_analysis_{part}"


def settings(values: Mapping[str, Any]) -> Settings:
    """Returns how pictures are compared, by the names of the boxes.

    Raises:
        UserError: a box says something else.
    """
    from lib_trainer.compare.pictures import Settings

    low, high = parse_range(str(values["range"] or DEFAULT_RANGE))
    whole = {}
    for name, label in (("n_seeds", "The number of seeds"), ("threshold", "The difference threshold")):
        try:
            whole[name] = int(values[name])
        except (TypeError, ValueError):
            raise UserError(f"{label} must be a whole number, got '{values[name]}'.") from None
    return Settings(low, high, whole["n_seeds"], whole["threshold"], str(values["diffcolour"]), bool(values["swapXY"]))
