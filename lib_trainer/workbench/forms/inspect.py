"""The form of `inspect`: what a LoRA file holds."""
from __future__ import annotations

from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation, Outcome, Progress


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.lora import file

    yield Progress(0, 1, "Reading")
    facts = file.inspect(values["file"])
    return Outcome(facts=facts)


FORM = Form(
    "inspect", "Inspect", "Inspect", "Tells what a LoRA file holds.",
    (Field("file", "lora", "LoRA", "The LoRA to look into.", required=True, positional=True),),
    _begin, instant=True,
)
