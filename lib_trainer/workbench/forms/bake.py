"""The form of `bake`: a LoRA with its block weights as a new file that needs none."""
from __future__ import annotations

from lib_trainer.workbench.forms import stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation, Outcome, Progress


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.lora import baked_file

    yield Progress(0, 1, "Reading")
    arch = "" if values["arch"] == "auto" else values["arch"]
    order = baked_file.Order(
        values["file"], values["weights"], places.presets(), places.elements(), values["te"], values["unet"], arch,
        values["seed"], values["base"])
    writing = baked_file.writing(order, values["out"])
    try:
        while True:
            done, total = next(writing)
            yield Progress(done, total, "Baking")
    except StopIteration as end:
        result: baked_file.Result = end.value
    finally:
        writing.close()
    told = result.to_json()
    facts = {"summary": result.in_words(), **{key: told[key] for key in told if key not in ("file", "notes")}}
    return Outcome(result.path, facts, notes=result.notes)


FORM = Form(
    "bake", "Bake", "Bake", "Writes a LoRA with its strength and block weights into a new file, which does the same at "
    "strength 1.",
    (
        Field("file", "lora", "LoRA", "The LoRA to weigh; it stays as it is.", required=True, positional=True),
        Field("weights", "text", "Weights", "What comes after the name in a tag, such as 0.8:NCNF or 0.8:lbw=NCNF:"
              "lbwe=FACE; a whole tag will do.", default="", metavar="WEIGHTS",
              cli="What comes after the name in a tag, such as 0.8:NCNF or 0.8:lbw=NCNF:lbwe=FACE, or a whole tag."),
        Field("te", "number", "Text encoder", "Strength of the text encoder in place of the tag's.", least=-10,
              most=10, cli="Strength of the text encoder in place of that in --weights."),
        Field("unet", "number", "U-Net", "Strength of the U-Net in place of the tag's.", least=-10, most=10,
              cli="Strength of the U-Net in place of that in --weights."),
        Field("out", "new_lora", "Name of the new LoRA", "Write a name; nothing is overwritten.", required=True,
              cli=stored.NEW_FILE),
        Field("base", "checkpoint", "Base checkpoint", "Needed where layers of DoRA or OFT get fractions: these become "
              "full differences for this checkpoint.", fold="More",
              cli="Base checkpoint; needed where layers of DoRA or OFT get fractions, which become full differences."),
        Field("arch", "choice", "Architecture", "Of a LoRA whose file does not tell.", default="auto",
              choices={"auto": "As the file tells", "sd15": "SD 1.x, SD 2.x", "sdxl": "SDXL"}, fold="More",
              cli="Architecture of a LoRA whose file does not tell it: sd15 (SD 1.x and SD 2.x) or sdxl."),
        Field("seed", "whole", "Seed", "From which R and U in the weights are drawn.", default=0, least=0, fold="More",
              cli="From which R and U in --weights are drawn."),
    ),
    _begin,
    cli="write a LoRA with its strength and block weights into a new file, which needs none",
    examples=("bake a.safetensors --weights 0.8:NCNF --out a-ncnf",),
)
