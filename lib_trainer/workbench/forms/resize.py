"""The form of `resize`: a LoRA of any kind as one of lower rank; a folder of them in one go."""
from __future__ import annotations

from lib_trainer.errors import UserError
from lib_trainer.workbench.forms import ranks, stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation

_SUFFIX = "-resized"

_ENDING = Field(
    "suffix", "text", "Ending", "Of a folder: what is put after each name, so that tags can tell the LoRAs apart.",
    default=_SUFFIX, fold="More", cli="For a folder: what is put behind each file's name, so that tags can tell them "
    "apart; write --suffix=-r8.")


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import resize, resize_folder

    reduction, device = ranks.reduction(values, places.words), places.device(values["device"])
    if values["file"].is_dir():
        return resize_folder.run(resize_folder.FolderOrder(
            values["file"], places.new_folder(values["out"]), reduction, values["precision"], values["base"], device,
            stored.family(values), values["suffix"]))
    if values["suffix"] != _SUFFIX:
        raise UserError(f"{places.words.field(_ENDING)} = {values['suffix']!r}: it is for the names of a folder's "
                        f"LoRAs, and '{values['file'].name}' is one file, whose new name is given. Leave it out.")
    return resize.run(resize.ResizeOrder(
        values["file"], places.new_lora(values["out"]), reduction, values["precision"], values["base"], device,
        stored.family(values)))


FORM = Form(
    "resize", "Resize", "Resize", "Writes a LoRA anew with a lower rank and tells how much of each block is kept; its "
    "strength stays.",
    (
        Field("file", "lora_or_folder", "LoRA", "The LoRA to resize, or a folder of them; they stay as they are.",
              required=True, positional=True,
              cli="The LoRA file to resize, or a folder of them with all its sub-folders."),
        Field("out", "text", "Name of the new LoRA", "Write a name; of a folder of LoRAs it is that of the new folder. "
              "Nothing is overwritten.", required=True, metavar="FILE_OR_FOLDER",
              cli="The new file (.safetensors is added), or for a folder the new folder; nothing is ever overwritten."),
        *ranks.fields(only_svd=False),
        _ENDING,
        stored.precision("fp16"), stored.BASE, stored.FAMILY, stored.DEVICE,
    ),
    _begin,
    cli="write a LoRA, or a folder of them, anew with a lower rank, and tell how much of each block is kept",
    examples=("resize a.safetensors --rank 8 --out small",
              "resize loras --dynamic frobenius --threshold 0.95 --out small --suffix=-95"),
)
