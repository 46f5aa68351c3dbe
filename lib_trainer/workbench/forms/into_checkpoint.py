"""The form of `into_checkpoint`: LoRAs merged into the weights of a checkpoint."""
from __future__ import annotations

from dataclasses import replace

from lib_trainer.workbench.forms import stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.merge import SOURCES
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import into_checkpoint

    return into_checkpoint.run(into_checkpoint.IntoCheckpointOrder(
        base=values["checkpoint"], sources=tuple(values["sources"]), out=values["out"], precision=values["precision"],
        device=places.device(values["device"]), presets=places.presets(), elements=places.elements()))


FORM = Form(
    "into_checkpoint", "Into checkpoint", "Merge", "Adds LoRAs to the weights of a checkpoint and writes a new one; "
    "the old one stays, and never more than a layer of it is in memory.",
    (
        replace(SOURCES, rows=1),
        Field("checkpoint", "checkpoint", "Checkpoint", "The checkpoint to which they are added; it stays as it is.",
              required=True, metavar="BASE", cli="The checkpoint to which the LoRAs are added; it stays as it is."),
        Field("out", "new_checkpoint", "Name of the new checkpoint", "Write a name; nothing is overwritten.",
              required=True, cli=stored.NEW_FILE),
        stored.precision("as it is", {"as it is": "As it is"}, fold=""), stored.DEVICE,
    ),
    _begin,
    cli="add LoRAs to the weights of a checkpoint, as a new checkpoint",
    examples=("merge a.safetensors:0.8 --checkpoint base.safetensors --out merged",),
)
