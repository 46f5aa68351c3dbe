"""The commands about block weights that need no model: `blocks explain` and `blocks convert`."""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from lib_trainer.cli.arguments import pair, print_json
from lib_trainer.errors import UserError

ParserT = TypeVar("ParserT", bound=argparse.ArgumentParser)


def add_commands(commands: argparse._SubParsersAction[ParserT]) -> None:
    """Adds these commands below `blocks`."""
    _add_explain(commands.add_parser("explain", help="show the strength of every layer that a prompt asks for"))
    _add_convert(commands.add_parser("convert", help="write a list of block weights for another layout"))


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--arch", choices=("sd15", "sdxl"), required=True)
    parser.add_argument("--lora", action="append", default=[], metavar="NAME=FILE", help="a LoRA file of the prompt")
    parser.add_argument("--keys", action="append", default=[], metavar="NAME=KEYS.json",
                        help="layer names instead of a file: a list, or an object whose keys are tensor names")
    parser.add_argument("--presets", type=Path, help="file of presets (default: the shipped ones)")
    parser.add_argument("--elemental", type=Path, metavar="FILE",
                        help="file of elemental rules (default: the shipped ones)")
    parser.add_argument("--seed", type=int, default=0, help="the picture's seed, which decides random weights (R, U)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_explain)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", help="a preset's name or a list: NCNF, 1,0,...")
    parser.add_argument("--to", type=int, choices=sorted((12, 17, 20, 23, 25, 26)), required=True,
                        help="numbers of the new list: 17, 26 (SD 1.x), 12, 20 (SDXL), 25, 23 (sd-scripts)")
    parser.add_argument("--presets", type=Path, help="file of presets (default: the shipped ones)")
    parser.set_defaults(command=_convert)


def _explain(arguments: argparse.Namespace) -> int:
    try:
        return _explained(arguments)
    except UserError as error:
        if arguments.json:
            print_json({"loras": {}, "warnings": [], "errors": [str(error)], "details": []})
        raise


def _explained(arguments: argparse.Namespace) -> int:
    from lib_trainer.blocks import elements, explain, presets

    if not arguments.lora and not arguments.keys:
        raise UserError("Give the layers of the prompt's LoRAs: --lora NAME=FILE or --keys NAME=KEYS.json.")
    layers = {name: _layers_of_file(Path(file)) for name, file in (pair(text, "--lora") for text in arguments.lora)}
    layers |= {name: _layers_of_keys(Path(file)) for name, file in (pair(text, "--keys") for text in arguments.keys)}
    result = explain.explain(
        arguments.prompt, arguments.arch, layers, presets.Presets.load(arguments.presets or presets.SHIPPED),
        elements.Elements.load(arguments.elemental or elements.SHIPPED), arguments.seed)
    if arguments.json:
        print_json(result)
    else:
        _print_multipliers(result["loras"])
    for sentence in (*result["warnings"], *result["errors"]):
        print(sentence, file=sys.stderr)
    return 1 if result["errors"] else 0


def _print_multipliers(loras: dict[str, dict[str, float]]) -> None:
    for name, multipliers in loras.items():
        print(name)
        for layer, multiplier in multipliers.items():
            print(f"  {multiplier:8.4g}  {layer}")


def _layer_names(tensors: Iterable[str]) -> list[str]:
    """Returns the layer names of tensor names (`layer.lora_up.weight`) or of layer names, each once."""
    return list(dict.fromkeys(name.partition(".")[0] for name in tensors))


def _layers_of_file(path: Path) -> list[str]:
    from lib_trainer.lora import file

    tensors, _ = file.read_header(path)
    return _layer_names(tensors)


def _layers_of_keys(path: Path) -> list[str]:
    try:
        names = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"The layer names in {path} cannot be read ({error}): give a JSON list or object.") from None
    if not isinstance(names, (list, dict)) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path} must hold a JSON list of layer names, or an object whose keys are tensor names.")
    return _layer_names(names)


def _convert(arguments: argparse.Namespace) -> int:
    from lib_trainer.blocks import block_lists, conversion, layouts, presets

    arch = layouts.ARCH_OF_LENGTH[arguments.to]
    known = presets.Presets.load(arguments.presets or presets.SHIPPED)
    found = block_lists.find_list(arguments.weights, known, arch)
    if found.named or len(found.items) == 1:
        raise UserError(f"'{arguments.weights}' needs no conversion: one number, and named blocks, mean the same in "
                        "every layout. Give a list or a preset.")
    print(",".join(conversion.converted(found.items, arguments.to)))
    lost = conversion.lost(found.items, arguments.to)
    if lost:
        print(f"A list of {arguments.to} numbers cannot say what {', '.join(lost)} had.", file=sys.stderr)
    return 0
