"""The command line: `serve`, `train`, `generate`, `blocks explain|convert|analyze`, `lora merge|difference|resize|...`,
`recipe convert`, `dataset report`, `cache show|clear`, `losses`, `queue`, `bench`.

Exit codes: 0 = done, 1 = the person's mistake (one sentence on stderr), 2 = a bug of ours (a traceback), 130 = an
operation of the workbench was interrupted. JSON goes to stdout, alone, and is printed with exit code 1 as well.
Everything heavy is imported inside the command that needs it: `blocks explain` answers without torch.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lib_trainer.cli import bench, blocks, dataset, embedded, generate, lora, queue, recipe
from lib_trainer.cli.arguments import pair
from lib_trainer.cli.exit_codes import DONE, MISTAKE
from lib_trainer.errors import UserError


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are sentences like all others, with exit code 1.

    Attributes:
        later: adds its commands when it is first used, where making them would cost every other command time.
    """

    later: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, *given: Any, **named: Any) -> tuple[Any, list[str]]:
        """Parses, after the commands have been added."""
        later, self.later = self.later, None
        if later is not None:
            later(self)
        return super().parse_known_args(*given, **named)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.")


def main(argv: Sequence[str]) -> int:
    """Runs one command and returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a Windows console may lack a name's letters
    try:
        arguments = make_parser().parse_args(argv)
        code: int = arguments.command(arguments)
        return code
    except UserError as error:
        print(error, file=sys.stderr)
        return MISTAKE


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = _Parser(prog="python -m lib_trainer", description="Train LoRAs and use them, layer by layer.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_serve(commands.add_parser("serve", help="open the page of the embedded host"))
    _add_train(commands.add_parser("train", help="train a LoRA as a settings file says"))
    generate.add_options(commands.add_parser("generate", help="draw one picture"))
    of_blocks = _below(commands.add_parser("blocks", help="per-block weights"))
    blocks.add_commands(of_blocks)
    _add_analyze(of_blocks.add_parser("analyze", help="tell which blocks of a LoRA matter"))
    commands.add_parser("lora", help="LoRA files").later = lora.add_commands
    recipe.add_commands(_below(commands.add_parser("recipe", help="settings of other programs, and back")))
    of_dataset = _below(commands.add_parser("dataset", help="training pictures"))
    _add_report(of_dataset.add_parser("report", help="tell which picture goes into which bucket"))
    dataset.add_cache_options(commands.add_parser("cache", help="cached latents and captions on the disk"))
    _add_losses(commands.add_parser("losses", help="tell which pictures of a training have a high loss"))
    of_queue = _below(commands.add_parser("queue", help="trainings in line, one after the other"))
    queue.add_commands(of_queue, embedded.add_folders, lambda given: embedded.app(given, logs=True))
    bench.add_options(commands.add_parser("bench", help="measure what training costs, or what it teaches"))
    return parser


def _below(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Returns where the commands below a command are added."""
    return parser.add_subparsers(required=True, metavar="COMMAND")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    embedded.add_folders(parser)
    parser.add_argument("--port", type=int, default=7860, help="port of the page; the next free one if it is taken")
    parser.add_argument("--listen", action="store_true", help="let other machines open the page")
    parser.set_defaults(command=_serve)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", type=Path,
        help="settings: our own or sd-scripts' .toml or .json, of kohya_ss, a text with a command, or a LoRA file",
    )
    embedded.add_folders(parser)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--resume", nargs="?", const="auto", metavar="STATE", help="go on with a run: name or folder "
                        "of a state; without one the newest run of the name, or a new one")
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON")
    parser.set_defaults(command=_train)


def _add_report(parser: argparse.ArgumentParser) -> None:
    embedded.add_folders(parser)
    dataset.add_report_options(parser)
    parser.set_defaults(command=lambda arguments: dataset.report(lambda: embedded.app(arguments), arguments))


def _add_losses(parser: argparse.ArgumentParser) -> None:
    from lib_trainer.bootstrap import OUTPUTS_DIR

    parser.add_argument("run", help="name of the LoRA, or the folder of its training")
    parser.add_argument("--outputs-dir", type=Path, default=OUTPUTS_DIR, help="folder of pictures, settings and caches")
    parser.add_argument("--csv", action="store_true", help="print a table of all pictures instead of JSON")
    parser.set_defaults(command=_losses)


def _add_analyze(parser: argparse.ArgumentParser) -> None:
    from lib_trainer.cli import analyze

    embedded.add_folders(parser)
    analyze.add_options(parser)
    parser.set_defaults(command=_analyze)


def _serve(arguments: argparse.Namespace) -> int:
    from lib_trainer.ui import page

    page.serve(embedded.app(arguments), arguments.port, arguments.listen)
    return DONE


def _train(arguments: argparse.Namespace) -> int:
    from lib_trainer.cli import processes, training

    changes = dict(pair(text, "--set") for text in arguments.set)
    if arguments.resume is not None:
        changes["resume"] = arguments.resume
    world = processes.Processes() if processes.launched() else None
    code = training.run(
        lambda: embedded.app(arguments, world=world, logs=True), arguments.config, changes, arguments.json, world)
    if world:
        world.leave()
    return code


def _losses(arguments: argparse.Namespace) -> int:
    from lib_trainer.cli import losses

    return losses.run(arguments.run, arguments.outputs_dir, arguments.csv)


def _analyze(arguments: argparse.Namespace) -> int:
    from lib_trainer.cli import analyze

    return analyze.run(lambda: embedded.app(arguments), arguments)
