"""The form of `metadata`: what a LoRA file says of itself, read, changed or taken out."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.errors import Problems
from lib_trainer.lora import file
from lib_trainer.workbench.forms.form import Field, Form, Values
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation, Outcome, Progress

_SET = Field(
    "put", "lines", "Set", "Lines of NAME=VALUE, such as modelspec.author=me.", default=(), metavar="NAME=VALUE",
    cli="Set an entry, such as modelspec.author=me. May be given again.")


def _begin(values: Values, places: Places) -> Operation:
    from lib_trainer.workbench import metadata_edit

    asked = values["put"] or values["remove"] or values["privacy"] or values["keep"] != "all"
    if not asked and values["out"] is None:
        return _shown(values["file"])
    order = metadata_edit.MetadataOrder(
        source=values["file"], out=values["out"], put=_pairs(values["put"], places.words.field(_SET)),
        remove=tuple(values["remove"]), keep=values["keep"], privacy=values["privacy"])
    return metadata_edit.run(order)


def _shown(path: Path) -> Operation:
    """Tells what the file says as it is."""
    yield Progress(0, 1, "Reading")
    metadata = file.read_header(path)[1]
    rows = [{"entry": name, "value": value} for name, value in sorted(metadata.items())]
    return Outcome(None, {"summary": f"{path.name} has {len(rows)} entries of metadata.", "entries": len(rows)}, rows)


def _pairs(lines: list[str], called: str) -> dict[str, str]:
    """Reads lines of NAME=VALUE; `called` = the field, for the sentences.

    Raises:
        Problems: every line that is none.
    """
    wrong = [line for line in lines if not line.partition("=")[0].strip() or "=" not in line]
    if wrong:
        raise Problems(f"{called}: '{line}' must be written as NAME=VALUE." for line in wrong)
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


FORM = Form(
    "metadata", "Metadata", "Apply", "Shows what a LoRA file says of itself; with changes below, writes it with "
    "other words.",
    (
        Field("file", "lora", "LoRA", "The LoRA; it stays as it is.", required=True, positional=True),
        Field("out", "new_lora", "Name of the new LoRA", "Empty: nothing is written, and you see what would change.",
              cli="The new file (.safetensors is added); not given: nothing is written, only told."),
        Field("privacy", "flag", "Private", "Takes out folders, names of files, lists of tags, comments, author and "
              "times.", default=False, cli="Take out folders, names of files, lists of tags, comments, author, times."),
        _SET,
        Field("remove", "lines", "Take out", "Names of entries, one a line; * stands for any letters, such as ss_*.",
              default=(), metavar="NAME", cli="Take an entry out; * stands for any letters. May be given again."),
        Field("keep", "choice", "Keep", "All other entries, or only those that programs need to load the LoRA.",
              default="all", choices={"all": "All", "needed": "Only what is needed"}, fold="More",
              cli="Which other entries stay: all, or those that programs need to load the LoRA."),
    ),
    _begin,
    cli="show what a LoRA file says of itself; with changes, write it with other words",
    examples=("metadata a.safetensors",
              "metadata a.safetensors --privacy --put modelspec.author=me --remove 'ss_*' --out mine"),
)
