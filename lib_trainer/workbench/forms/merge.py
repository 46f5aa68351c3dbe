"""The form of `merge`: a sum of LoRAs as one LoRA; with strengths 1 and -1 it is their difference."""
from __future__ import annotations

from lib_trainer.workbench.forms import ranks, stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation

SOURCES = Field(
    "sources", "sources", "LoRAs", "Each with its strength, which may be negative, and if you like with block weights "
    "as in a tag: NCNF, or lbw=NCNF:lbwe=FACE.", required=True, positional=True, rows=2,
    cli="A LoRA file, behind it its strength and block weights as in a tag: FILE, FILE:0.8, FILE:-1 or FILE:0.8:NCNF.")


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import merge

    return merge.run(merge.MergeOrder(
        sources=tuple(values["sources"]), out=values["out"], reduction=ranks.reduction(values, places.words),
        shuffle=values["shuffle"], seed=values["seed"], precision=values["precision"], base=values["base"],
        device=places.device(values["device"]), presets=places.presets(), elements=places.elements(),
        family=stored.family(values)))


FORM = Form(
    "merge", "Merge", "Merge", "Adds LoRAs of any kinds into one that does at strength 1 what they do together. "
    "A - B gives what A does and B does not.",
    (
        SOURCES, stored.new_lora(), ranks.KIND, *ranks.fields(only_svd=True),
        Field("shuffle", "flag", "Shuffle", "Mixes the ranks so that the LoRAs it was made of cannot be recovered; "
              "the sum stays the same.", default=False, fold="More",
              cli="Mix the ranks so that the LoRAs it was made of cannot be recovered; the sum stays the same."),
        Field("seed", "whole", "Seed", "From which the mixing is drawn.", default=0, least=0, fold="More",
              cli="From which the mixing of --shuffle is drawn."),
        stored.precision("fp32"), stored.BASE, stored.FAMILY, stored.DEVICE,
    ),
    _begin,
    cli="add LoRAs of any kinds up to one that does at strength 1 what they do together",
    examples=("merge a.safetensors b.safetensors:0.6:NCNF --out sum",
              "merge a.safetensors b.safetensors --reduction svd --rank 16 --conv-rank 8 --out sum16"),
)
