"""The commands about LoRA files: `lora inspect` and `lora bake`."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TypeVar

from lib_trainer.cli_arguments import print_json
from lib_trainer.errors import UserError

ParserT = TypeVar("ParserT", bound=argparse.ArgumentParser)


def add_commands(commands: argparse._SubParsersAction[ParserT]) -> None:
    """Adds the commands below `lora`."""
    _add_inspect(commands.add_parser("inspect", help="tell what a LoRA file holds"))
    _add_bake(commands.add_parser("bake", help="write a LoRA with its block weights into a new file"))


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_inspect)


def _add_bake(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the LoRA; it stays as it is")
    parser.add_argument("--weights", default="", metavar="TAG",
                        help="a whole tag, or what comes after the name in one: '0.8:lbw=NCNF:lbwe=...'")
    parser.add_argument("--te", type=float, help="strength of the text encoder in place of the tag's")
    parser.add_argument("--unet", type=float, help="strength of the U-Net in place of the tag's")
    parser.add_argument("--arch", choices=("auto", "sd15", "sdxl"), default="auto")
    parser.add_argument("--presets", type=Path, help="file of presets (default: the shipped ones)")
    parser.add_argument("--elemental", type=Path, help="file of elemental rules (default: the shipped ones)")
    parser.add_argument("--seed", type=int, default=0, help="from which R and U are drawn")
    parser.add_argument("--base", type=Path, metavar="CHECKPOINT",
                        help="the base checkpoint, needed where DoRA or OFT layers get fractions")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new LoRA; never overwrites")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_bake)


def _inspect(arguments: argparse.Namespace) -> int:
    from lib_trainer.lora import file

    try:
        facts = file.inspect(arguments.file)
    except UserError as error:
        if arguments.json:
            print_json({"errors": [str(error)]})
        raise
    if arguments.json:
        print_json(facts)
    else:
        for name, value in facts.items():
            print(f"{name}: {value}")
    return 0


def _bake(arguments: argparse.Namespace) -> int:
    from lib_trainer.blocks import elements, presets
    from lib_trainer.lora import baked_file

    order = baked_file.Order(
        arguments.file, arguments.weights, presets.Presets.load(arguments.presets or presets.SHIPPED),
        elements.Elements.load(arguments.elemental or elements.SHIPPED), arguments.te, arguments.unet,
        "" if arguments.arch == "auto" else arguments.arch, arguments.seed, arguments.base,
    )
    out = arguments.out if arguments.out.suffix == ".safetensors" else Path(f"{arguments.out}.safetensors")
    result = baked_file.write(order, out)
    if arguments.json:
        print_json(result.to_json())
    else:
        print(result.in_words(), flush=True)
    for note in result.notes:
        print(note, file=sys.stderr)
    return 0
