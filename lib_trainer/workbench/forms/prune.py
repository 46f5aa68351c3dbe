"""The form of `prune`: empty or weak layers and whole blocks taken out of a LoRA."""
from __future__ import annotations

from lib_trainer.workbench.forms import stored
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import prune

    return prune.run(prune.PruneOrder(
        source=values["file"], out=values["out"], empty=values["empty"], below=values["below"],
        measure=values["measure"], blocks=tuple(values["blocks"].replace(",", " ").split()),
        family=stored.family(values)))


FORM = Form(
    "prune", "Prune", "Prune", "Takes out layers that change nothing, and blocks that change little.",
    (
        Field("file", "lora", "LoRA", "The LoRA to prune; it stays as it is.", required=True, positional=True),
        Field("out", "new_lora", "Name of the new LoRA", "Empty: nothing is written, and you see what would be taken "
              "out.", cli="The new file (.safetensors is added); not given: nothing is written, only told."),
        Field("below", "number", "Weaker than", "Blocks whose part of the whole is below this are taken out: 0 to 1, "
              "such as 0.01.", default=0.0, least=0, most=1,
              cli="Take out blocks that do less than this part of the whole: 0 to 1, such as 0.01."),
        Field("blocks", "text", "Blocks", "These are taken out in any case: BASE, IN04 ...", default="",
              cli="Blocks to take out in any case, such as BASE,IN04.", metavar="BLOCKS"),
        Field("empty", "flag", "Empty layers", "Takes out layers that are zero.", default=True,
              cli="Take out, or keep, layers that are zero."),
        Field("measure", "choice", "Measured by", "Energy is the square of the norm of what a block changes.",
              default="energy", choices={"energy": "Energy", "norm": "Norm"}, fold="More",
              cli="What --below is a part of: the norm of what a block changes, or energy, its square."),
        stored.FAMILY,
    ),
    _begin,
    cli="take layers that change nothing out of a LoRA, and blocks that change little",
    examples=("prune a.safetensors --below 0.01", "prune a.safetensors --below 0.01 --blocks BASE --out pruned"),
)
