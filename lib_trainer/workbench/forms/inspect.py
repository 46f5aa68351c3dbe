"""The form of `inspect`: what a LoRA file holds."""
from __future__ import annotations

from lib_trainer.workbench.forms import stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import inspection

    return inspection.run(inspection.InspectOrder(values["file"], stored.family(values)))


FORM = Form(
    "inspect", "Inspect", "Inspect", "Tells what a LoRA file holds: kinds, ranks, how much each block does, hashes, "
    "metadata.",
    (Field("file", "lora", "LoRA", "The LoRA to look into.", required=True, positional=True), stored.FAMILY),
    _begin, instant=True,
    cli="tell what a LoRA file holds: kinds, ranks, how much each block does, hashes, metadata",
    examples=("inspect a.safetensors", "inspect a.safetensors --json"),
)
