"""The form of `extract`: what a fine-tuned checkpoint learned beyond its base, as a LoRA."""
from __future__ import annotations

from lib_trainer.workbench.forms import ranks, stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import extract

    return extract.run(extract.ExtractOrder(
        base=values["base"], tuned=values["tuned"], out=values["out"], reduction=ranks.reduction(values, places.words),
        min_diff=values["min_diff"], precision=values["precision"], device=places.device(values["device"])))


FORM = Form(
    "extract", "Extract", "Extract",
    "Makes a LoRA of what a fine-tuned checkpoint does beyond the one it was made from.",
    (
        Field("base", "checkpoint", "Base checkpoint", "The checkpoint that the other one was made from.",
              required=True, positional=True, metavar="BASE"),
        Field("tuned", "checkpoint", "Tuned checkpoint", "The fine-tuned checkpoint.", required=True, positional=True,
              metavar="TUNED"),
        stored.new_lora(), *ranks.fields(only_svd=False, without_conv_rank="they are left out"),
        Field("min_diff", "number", "Least difference", "A text encoder whose weights differ by less than this "
              "anywhere is left out.", default=0.01, least=0, fold="More",
              cli="Leave out a text encoder in which no number differs by more than this."),
        stored.precision("fp16"), stored.DEVICE,
    ),
    _begin,
    cli="make a LoRA of what a fine-tuned checkpoint does beyond the one it was made from",
    examples=("extract base.safetensors tuned.safetensors --rank 32 --conv-rank 16 --out learned",),
)
