"""The form of `resize`: a LoRA of any kind as one of lower rank; a folder of them in one go."""
from __future__ import annotations

from lib_trainer.errors import UserError
from lib_trainer.workbench.forms import ranks, stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation

_SUFFIX = "-resized"


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import resize, resize_folder

    reduction, device = ranks.reduction(values), places.device(values["device"])
    if values["file"].is_dir():
        return resize_folder.run(resize_folder.FolderOrder(
            values["file"], places.new_folder(values["out"]), reduction, values["precision"], values["base"], device,
            stored.family(values), values["suffix"]))
    if values["suffix"] != _SUFFIX:
        raise UserError(f"Ending = {values['suffix']!r}: it is for the names of a folder's LoRAs, and "
                        f"'{values['file'].name}' is one file, whose new name is given. Leave the ending out.")
    return resize.run(resize.ResizeOrder(
        values["file"], places.new_lora(values["out"]), reduction, values["precision"], values["base"], device,
        stored.family(values)))


FORM = Form(
    "resize", "Resize", "Resize", "Writes a LoRA anew with a lower rank and tells how much of each block is kept; its "
    "strength stays.",
    (
        Field("file", "lora_or_folder", "LoRA", "The LoRA to resize, or a folder of them; they stay as they are.",
              required=True, positional=True),
        Field("out", "text", "Name of the new LoRA", "Write a name; of a folder of LoRAs it is that of the new folder. "
              "Nothing is overwritten.",
              required=True),
        *ranks.fields(only_svd=False),
        Field("suffix", "text", "Ending", "Of a folder: what is put after each name, so that tags can tell the LoRAs "
              "apart.", default=_SUFFIX, fold="More"),
        stored.precision("fp16"), stored.BASE, stored.FAMILY, stored.DEVICE,
    ),
    _begin,
)
