"""The commands of the LoRA workbench: options made of an operation's form, its progress, and what it has come to.

An operation is followed by a bar on stderr where somebody looks at it. Ctrl+C ends it with exit code 130, and nothing
of it is left.
"""
from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.cli.arguments import print_json
from lib_trainer.cli.exit_codes import INTERRUPTED
from lib_trainer.errors import Problems, UserError
from lib_trainer.workbench.forms.words import OPTIONS, metavar

if TYPE_CHECKING:
    from lib_trainer.workbench.forms.form import Field, Form
    from lib_trainer.workbench.operation import Operation, Outcome, Progress

_MOST_ROWS = 60
_WIDTH = 78
_MORE = "More"
"""The fold whose options stand with those that every operation has."""
_LONGEST_FACT = 400
"""Letters of a line beside the table."""


def add_options(parser: argparse.ArgumentParser, form: Form) -> None:
    """Adds the options of an operation, and what it does, with examples."""
    describe(parser, form.cli, form.examples)
    add_fields(parser, form.fields)


def describe(parser: argparse.ArgumentParser, what: str, examples: Iterable[str]) -> None:
    """Says what a command does.

    Args:
        parser: of the command. what: it does, as an order. examples: what one writes behind `lora`.
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter  # examples stay lines
    parser.description = textwrap.fill(f"{what[0].upper()}{what[1:]}.", _WIDTH)
    parser.epilog = "\n".join(["examples:", *(f"  python -m lib_trainer lora {example}" for example in examples)])


def add_fields(parser: argparse.ArgumentParser, fields: Iterable[Field]) -> None:
    """Adds the options of some fields, and those that all operations have; those of a fold stand in a group."""
    fields = tuple(fields)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for field in fields:
        if field.fold and field.fold not in groups:
            groups[field.fold] = parser.add_argument_group(_title(field.fold))
        _add(groups.get(field.fold, parser), field)
    more = groups.get(_MORE) or parser.add_argument_group(_title(_MORE))
    more.add_argument("--presets", type=Path, metavar="FILE", help="Block presets (default: the shipped ones).")
    more.add_argument("--elemental", type=Path, metavar="FILE", help="Elemental rules (default: the shipped ones).")
    more.add_argument("--json", action="store_true", help="Print the outcome as JSON.")
    parser.usage = " ".join(filter(None, ["%(prog)s", *map(_shown_in_usage, fields), "[options]"]))


def _title(fold: str) -> str:
    return "more options" if fold == _MORE else fold.lower()


def _shown_in_usage(field: Field) -> str:
    if field.positional:
        word = metavar(field)
        return f"{word} [{word} ...]" if field.kind == "sources" else word
    return f"{OPTIONS.field(field)} {metavar(field)}" if field.required else ""


def _add(parser: argparse._ActionsContainer, field: Field) -> None:
    told: dict[str, Any] = {"help": _help(field).replace("%", "%%")}
    if field.positional:
        if field.kind == "sources":
            told["nargs"] = "+"
        parser.add_argument(field.name, metavar=metavar(field), **told)
    elif field.kind == "flag":
        told["action"] = argparse.BooleanOptionalAction if field.default else "store_true"
        parser.add_argument(OPTIONS.field(field), dest=field.name, default=None, **told)
    elif field.kind == "lines":
        parser.add_argument(OPTIONS.field(field), dest=field.name, action="append", metavar=metavar(field), **told)
    else:
        words = [word for word in field.choices if " " not in word]  # "as it is" is for those who leave it out
        chosen = "{" + ",".join(words) + "}" if words else metavar(field)
        parser.add_argument(OPTIONS.field(field), dest=field.name, metavar=chosen, required=field.required, **told)


def _help(field: Field) -> str:
    said = field.cli or field.help
    if field.default in (None, "", (), False):
        return said
    default = OPTIONS.field(field) if field.default is True else field.default
    return f"{said.removesuffix('.')} (default: {default})."


def run(form: Form, arguments: argparse.Namespace, given: Mapping[str, Any] | None = None) -> int:
    """Carries an operation out; returns the exit code.

    Args:
        form: the operation. arguments: of `add_options`.
        given: values in the place of the arguments'.

    Raises:
        UserError: something cannot be used.
    """
    from lib_trainer.workbench.forms.places import FilePlaces

    places = FilePlaces(arguments.presets, arguments.elemental)
    if given is None:
        given = {field.name: getattr(arguments, field.name) for field in form.fields}
    try:
        outcome = _followed(form.operation(form.read(given, places), places))
    except UserError as error:
        if arguments.json:
            print_json({"errors": error.problems if isinstance(error, Problems) else [str(error)]})
        raise
    except KeyboardInterrupt:
        print("Cancelled; nothing half done is left.", file=sys.stderr)
        return INTERRUPTED
    if arguments.json:
        print_json(outcome.to_json())
    else:
        _print(outcome)
    for note in outcome.notes:
        print(note, file=sys.stderr)
    return 0


def _followed(operation: Operation) -> Outcome:
    from tqdm import tqdm

    from lib_trainer.workbench.operation import finish

    with tqdm(disable=None, leave=False, file=sys.stderr) as bar:  # None: no bar where stderr is no terminal
        def show(progress: Progress) -> None:
            bar.total = progress.total
            bar.set_description(progress.what, refresh=False)
            bar.update(progress.done - bar.n)

        return finish(operation, show)


def _print(outcome: Outcome) -> None:
    facts = dict(outcome.facts)
    summary = facts.pop("summary", None)
    if summary:
        print(summary, flush=True)
    if not summary or outcome.file is None:
        for name, value in facts.items():
            print(f"{name}: {_fact(value)}", flush=True)
    for line in _table(outcome.rows[:_MOST_ROWS]):
        print(line, flush=True)
    if len(outcome.rows) > _MOST_ROWS:
        print(f"... and {len(outcome.rows) - _MOST_ROWS} more; --json gives all of them", flush=True)


def _fact(value: object) -> str:
    """Returns a value for a line; of long ones, such as the names of a thousand layers, only how much there is."""
    told = _cell(value)
    if isinstance(value, list | tuple | Mapping) and len(told) > _LONGEST_FACT:
        return f"{len(value)} (--json gives all of them)"
    return told


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Returns lines of equal columns, the head first."""
    if not rows:
        return []
    cells = [[name.replace("_", " ") for name in rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_cell(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return "" if value is None else str(value)
