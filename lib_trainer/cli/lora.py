"""The commands below `lora`: one for each operation of the workbench, and `difference`, a merge of two.

`merge --checkpoint BASE` merges into a checkpoint; `resize` takes a folder as well.
"""
from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lib_trainer.cli import workbench

if TYPE_CHECKING:
    from lib_trainer.workbench.forms.form import Form

_DIFFERENCE = "write what LoRA A does and LoRA B does not"


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Adds the commands below `lora`."""
    from lib_trainer.workbench.forms import into_checkpoint, table

    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for form in table.FORMS.values():
        if form is not into_checkpoint.FORM:  # `merge --checkpoint`
            parser = commands.add_parser(form.name, help=form.cli)
            workbench.add_options(parser, form)
            parser.set_defaults(command=lambda arguments, form=form: workbench.run(form, arguments))
    _extend_merge(commands.choices["merge"])
    _add_difference(commands.add_parser("difference", help=_DIFFERENCE))


def _extend_merge(parser: argparse.ArgumentParser) -> None:
    from lib_trainer.workbench.forms import into_checkpoint, merge

    parser.add_argument("--checkpoint", metavar="BASE", help="Merge into this checkpoint: --out is a new checkpoint.")
    workbench.describe(parser, merge.FORM.cli, (*merge.FORM.examples, *into_checkpoint.FORM.examples))
    parser.set_defaults(command=_merge)


def _add_difference(parser: argparse.ArgumentParser) -> None:
    from lib_trainer.workbench.forms import merge

    parser.add_argument("a", metavar="A", help="The LoRA file from which is taken.")
    parser.add_argument("b", metavar="B", help="The LoRA file that is taken away.")
    shown = tuple(field for field in merge.FORM.fields if field is not merge.SOURCES)
    workbench.describe(parser, _DIFFERENCE, ("difference a.safetensors b.safetensors --out a-minus-b",))
    workbench.add_fields(parser, shown)
    parser.usage = str(parser.usage).replace("%(prog)s", "%(prog)s A B")
    parser.set_defaults(command=_difference)


def _merge(arguments: argparse.Namespace) -> int:
    from lib_trainer.workbench.forms import into_checkpoint, merge

    if arguments.checkpoint is None:
        return workbench.run(merge.FORM, arguments)
    form = into_checkpoint.FORM
    given = {name: value for name, value in vars(arguments).items() if _is_given(form, name, value)}
    return workbench.run(form, arguments, {**given, **_of_merge_alone(arguments, form)})


def _is_given(form: Form, name: str, value: object) -> bool:
    return value is not None and name in {field.name for field in form.fields}


def _of_merge_alone(arguments: argparse.Namespace, form: Form) -> dict[str, Any]:
    """Returns options that mean nothing for a checkpoint, so that reading them tells the person."""
    from lib_trainer.workbench.forms import merge

    names = {field.name for field in merge.FORM.fields} - {field.name for field in form.fields}
    return {name: value for name in sorted(names) if (value := getattr(arguments, name)) is not None}


def _difference(arguments: argparse.Namespace) -> int:
    from lib_trainer.workbench.forms import merge

    given = {field.name: getattr(arguments, field.name) for field in merge.FORM.fields if field is not merge.SOURCES}
    sources = [{"lora": arguments.a, "strength": 1.0}, {"lora": arguments.b, "strength": -1.0}]
    return workbench.run(merge.FORM, arguments, {**given, merge.SOURCES.name: sources})
