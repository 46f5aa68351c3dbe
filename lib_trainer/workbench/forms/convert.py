"""The form of `convert`: the same LoRA under the names that another program reads, or in another precision."""
from __future__ import annotations

from lib_trainer.workbench.forms import stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation

AS_IT_IS = "as it is"

_NAMINGS = {
    AS_IT_IS: "As it is", "kohya": "kohya (WebUIs, ComfyUI, sd-scripts)",
    "kohya-ldm": "kohya, block numbers of the checkpoint",
    "kohya-diffusers": "kohya, block numbers of diffusers", "peft": "PEFT and diffusers (lora_A, lora_B)",
    "diffusers": "diffusers (lora.down, lora.up)", "ldm": "LDM (names of the checkpoint, with dots)",
}


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import convert

    naming, precision = ("" if values[name] == AS_IT_IS else values[name] for name in ("naming", "precision"))
    return convert.run(convert.ConvertOrder(
        source=values["file"], out=values["out"], naming=naming, precision=precision,
        family=stored.family(values), leave_out=values["leave_out"]))


FORM = Form(
    "convert", "Convert", "Convert", "Writes the same LoRA for another program: the names of its layers, or how its "
    "numbers are stored. There and back gives the same numbers, bit for bit.",
    (
        Field("file", "lora", "LoRA", "The LoRA to convert; it stays as it is.", required=True, positional=True),
        stored.new_lora(),
        Field("naming", "choice", "Names", "Which program shall read it.", default=AS_IT_IS, choices=_NAMINGS,
              cli="Names of the layers. kohya: WebUIs, ComfyUI, sd-scripts; kohya-ldm, kohya-diffusers: the same with "
              "the block numbers of the checkpoint, or of diffusers; peft: PEFT and diffusers (lora_A, lora_B); "
              "diffusers: its training scripts (lora.down, lora.up); ldm: the checkpoint's names with dots."),
        stored.precision(AS_IT_IS, {AS_IT_IS: "As it is"}, fold=""),
        stored.FAMILY,
        Field("leave_out", "flag", "Leave out what has no name there", "Otherwise such a layer is an error.",
              default=False, fold="More",
              cli="Leave out layers that have no name in --naming; without it they are an error."),
    ),
    _begin,
    cli="write the same LoRA under another program's names, or in another precision",
    examples=("convert a.safetensors --naming peft --out a-peft",
              "convert a.safetensors --precision fp16 --out a-half"),
)
