"""The command `recipe convert`: settings of other programs and back."""
from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lib_trainer.cli.arguments import pair
from lib_trainer.cli.exit_codes import DONE
from lib_trainer.errors import Problems, UserError

if TYPE_CHECKING:
    from lib_trainer.training.interchange.imported import Imported


ParserT = TypeVar("ParserT", bound=argparse.ArgumentParser)


def add_commands(commands: argparse._SubParsersAction[ParserT]) -> None:
    """Adds the commands to the parser of `recipe`."""
    from lib_trainer.training.interchange.imported import FORMATS
    from lib_trainer.training.interchange.shell import ENDINGS

    convert = commands.add_parser("convert", help="write settings for another program")
    convert.add_argument("source", type=Path, metavar="IN", help="settings of any kind, or a LoRA file")
    convert.add_argument("--to", choices=tuple(FORMATS), required=True)
    convert.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: print)")
    convert.add_argument("--sdxl", action="store_true", help="the base model is SDXL")
    convert.add_argument("--shell", choices=tuple(ENDINGS), default="bash", help="of a command line")
    convert.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    convert.set_defaults(command=_convert)


def read(source: Path, changes: Mapping[str, str]) -> tuple[Imported, dict[str, Any]]:
    """Reads settings of any kind and tells on stderr what became of them.

    Returns:
        what was found, and the values with `changes` in their place.

    Raises:
        UserError: the file cannot be read, or is nothing of the kind.
    """
    from lib_trainer.training import config_values
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.interchange import reading
    from lib_trainer.training.interchange.imported import HEADS

    imported = reading.read_file(source)
    told = imported.told()
    for name, head in HEADS.items():
        for sentence in told[name]:
            print(f"{head}: {sentence}", file=sys.stderr)
    return imported, config_values.overridden(dataclasses.fields(TrainConfig), imported.values, changes)


def _convert(arguments: argparse.Namespace) -> int:
    from lib_trainer.training import config_reading
    from lib_trainer.training.interchange.exporting import export

    imported, values = read(arguments.source, dict(pair(text, "--set") for text in arguments.set))
    config, faults = config_reading.read(values)
    if faults or imported.problems:
        raise Problems([*imported.problems, *faults])
    exported = export(config, arguments.to, arguments.sdxl, arguments.shell)
    for sentence in exported.lost:
        print(f"Cannot be said there: {sentence}", file=sys.stderr)
    if arguments.out is None:
        print(exported.text, end="")
        return DONE
    if arguments.out.exists():
        raise UserError(f"{arguments.out} exists and is not overwritten: give another --out.")
    try:
        arguments.out.write_text(exported.text, encoding="utf8")
    except OSError as error:
        raise UserError(f"{arguments.out} cannot be written ({error.strerror}): give another --out.") from None
    return DONE
