"""The command line: `serve`, `train`, `generate`, `blocks explain|convert|analyze`, `lora merge|difference|resize|...`,
`recipe convert`, `dataset report`, `cache show|clear`, `losses`, `queue`, `bench`.

Exit codes: 0 = done, 1 = the person's mistake (one sentence on stderr), 2 = a bug of ours (a traceback), 130 = an
operation of the workbench was interrupted. JSON goes to stdout, alone, and is printed with exit code 1 as well.
Everything heavy is imported inside the command that needs it: `blocks explain` answers without torch.
"""
from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lib_trainer import cli_blocks, cli_dataset, cli_lora, cli_queue, cli_recipe
from lib_trainer.cli_arguments import pair, print_json
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.bootstrap import EmbeddedApp
    from lib_trainer.training.world import World

DONE, MISTAKE = 0, 1


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
        arguments = _parser().parse_args(argv)
        code: int = arguments.command(arguments)
        return code
    except UserError as error:
        print(error, file=sys.stderr)
        return MISTAKE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lib_trainer", description="Train LoRAs and use them, layer by layer.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_serve(commands.add_parser("serve", help="open the page of the embedded host"))
    _add_train(commands.add_parser("train", help="train a LoRA as a settings file says"))
    _add_generate(commands.add_parser("generate", help="draw one picture"))
    blocks = commands.add_parser("blocks", help="per-block weights").add_subparsers(required=True, metavar="COMMAND")
    cli_blocks.add_commands(blocks)
    _add_analyze(blocks.add_parser("analyze", help="tell which blocks of a LoRA matter"))
    commands.add_parser("lora", help="LoRA files").later = cli_lora.add_commands
    recipe = commands.add_parser("recipe", help="settings of other programs, and back")
    cli_recipe.add_commands(recipe.add_subparsers(required=True, metavar="COMMAND"))
    dataset = commands.add_parser("dataset", help="training pictures").add_subparsers(required=True, metavar="COMMAND")
    _add_report(dataset.add_parser("report", help="tell which picture goes into which bucket"))
    cli_dataset.add_cache_options(commands.add_parser("cache", help="cached latents and captions on the disk"))
    _add_losses(commands.add_parser("losses", help="tell which pictures of a training have a high loss"))
    queue = commands.add_parser("queue", help="trainings in line, one after the other")
    cli_queue.add_commands(
        queue.add_subparsers(required=True, metavar="COMMAND"), _add_folders, lambda given: _app(given, logs=True))
    _add_bench(commands.add_parser("bench", help="measure what training costs, or what it teaches"))
    return parser


def _add_folders(parser: argparse.ArgumentParser) -> None:
    from lib_trainer.bootstrap import LORAS_DIR, MODELS_DIR, OUTPUTS_DIR

    parser.add_argument("--model", type=Path, help="checkpoint file (default: the demo checkpoint)")
    parser.add_argument("--models-dir", type=Path, default=MODELS_DIR, help="folder of checkpoints")
    parser.add_argument("--loras-dir", type=Path, default=LORAS_DIR, help="folder of LoRA files")
    parser.add_argument("--outputs-dir", type=Path, default=OUTPUTS_DIR, help="folder of pictures, settings and caches")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_folders(parser)
    parser.add_argument("--port", type=int, default=7860, help="port of the page; the next free one if it is taken")
    parser.add_argument("--listen", action="store_true", help="let other machines open the page")
    parser.set_defaults(command=_serve)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", type=Path,
        help="settings: our own or sd-scripts' .toml or .json, of kohya_ss, a text with a command, or a LoRA file",
    )
    _add_folders(parser)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--resume", nargs="?", const="auto", metavar="STATE", help="go on with a run: name or folder "
                        "of a state; without one the newest run of the name, or a new one")
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON")
    parser.set_defaults(command=_train)


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_folders(parser)
    cli_dataset.add_report_options(parser)
    parser.set_defaults(command=lambda arguments: cli_dataset.report(lambda: _app(arguments), arguments))


def _add_losses(parser: argparse.ArgumentParser) -> None:
    from lib_trainer.bootstrap import OUTPUTS_DIR

    parser.add_argument("run", help="name of the LoRA, or the folder of its training")
    parser.add_argument("--outputs-dir", type=Path, default=OUTPUTS_DIR, help="folder of pictures, settings and caches")
    parser.add_argument("--csv", action="store_true", help="print a table of all pictures instead of JSON")
    parser.set_defaults(command=_losses)


def _add_generate(parser: argparse.ArgumentParser) -> None:
    _add_folders(parser)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--negative", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=7.0)
    parser.add_argument("--width", type=int, default=0, help="pixels; 0 = the checkpoint's own size")
    parser.add_argument("--height", type=int, default=0, help="pixels; 0 = the checkpoint's own size")
    parser.add_argument("--sampler", default="", help="empty = the host's default")
    parser.add_argument("--clip-skip", type=int, default=1)
    parser.add_argument("--presets", type=Path, help="file of block-weight presets (default: in the settings folder)")
    parser.add_argument("--elemental", type=Path, metavar="FILE", help="file of elemental rules, likewise")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG")
    parser.set_defaults(command=_generate)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=(
        "speed", "teach", "slider", "difference", "data", "cache", "workbench"), default="speed")
    parser.add_argument("--model", type=Path, help="checkpoint file (default: the demo checkpoint)")
    parser.add_argument("--pictures", type=int, help="teach, slider, difference: pictures drawn of each kind (50); "
                        "data: how many are listed and planned, cache: cached and read (50000)")
    parser.add_argument("--sd-scripts", type=Path, metavar="FOLDER", help="speed: train there too, in turns, and print "
                        "both sides; needs --model with a true-size SD 1.5 checkpoint")
    parser.add_argument("--sd-scripts-python", type=Path, default=Path(sys.executable), help="the Python of sd-scripts")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32", help="with --sd-scripts")
    parser.add_argument("--size", type=int, default=128, help="with --sd-scripts: pixels of the training")
    parser.set_defaults(command=_bench)


def _add_analyze(parser: argparse.ArgumentParser) -> None:
    from lib_trainer import cli_analyze

    _add_folders(parser)
    cli_analyze.add_options(parser)
    parser.set_defaults(command=_analyze)


def _app(
    arguments: argparse.Namespace, presets: Path | None = None, elements: Path | None = None, *,
    world: World | None = None, logs: bool = False,
) -> EmbeddedApp:
    from lib_trainer import bootstrap

    return bootstrap.standalone(
        arguments.model, arguments.models_dir, arguments.loras_dir, arguments.outputs_dir, presets, elements,
        world=world, logs=logs,
    )


def _serve(arguments: argparse.Namespace) -> int:
    from lib_trainer.ui import page

    page.serve(_app(arguments), arguments.port, arguments.listen)
    return DONE


def _bench(arguments: argparse.Namespace) -> int:
    """Measures in a temporary folder; prints the figures as JSON, and 1 tells that they are worse than promised."""
    from lib_trainer import bootstrap
    from lib_trainer.bench import caches, data, speed, workbench

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "data":
            print_json(data.measure(Path(folder) / "pictures", arguments.pictures or 50000, report).to_json())
            return DONE
        if arguments.what == "workbench":
            print_json(workbench.measure(Path(folder), report).to_json())
            return DONE
        app = bootstrap.standalone(arguments.model, *(Path(folder) / name for name in ("models", "loras", "outputs")))
        if arguments.what == "cache":
            costs = caches.measure(app.host, Path(folder) / "pictures", arguments.pictures or 50000, report)
            print_json(costs.to_json())
            return DONE
        if arguments.sd_scripts:
            print_json(_compared(arguments, app, report))
            return DONE
        if arguments.what == "speed":
            print_json(speed.speed(app.host, app.jobs, report).to_json())
            return DONE
        told, broken = _learned(arguments, app, report)
    print_json(told)
    for sentence in broken:
        report(sentence)
    return MISTAKE if broken else DONE


def _learned(
    arguments: argparse.Namespace, app: EmbeddedApp, report: Callable[[str], None]
) -> tuple[dict[str, Any], list[str]]:
    """Measures what a training teaches; returns the figures, and a sentence per promise that they do not keep."""
    from lib_trainer.bench import difference, slider, teach

    pictures = arguments.pictures or 50
    if arguments.what == "difference":
        copied = difference.measure(app.host, app.jobs, report, pictures)
        return copied.to_json(), copied.slid.broken(slider.Promises())
    if arguments.what == "slider":
        slid = slider.slider(app.host, app.jobs, report, pictures)
        return slid.to_json(), slid.broken(slider.Promises())
    taught = teach.teach(app.host, app.jobs, report, pictures)
    return taught.to_json(), taught.broken(teach.Promises())


def _compared(arguments: argparse.Namespace, app: EmbeddedApp, report: Callable[[str], None]) -> dict[str, Any]:
    """Trains in turns here and in sd-scripts.

    Raises:
        UserError: there is no checkpoint, or no sd-scripts.
    """
    from lib_trainer.bench import sd_scripts

    if arguments.model is None:
        raise UserError("--sd-scripts needs --model with a true-size SD 1.5 checkpoint: it knows no other width.")
    rival = sd_scripts.Rival(arguments.sd_scripts.absolute(), arguments.sd_scripts_python.absolute())
    recipe = sd_scripts.Recipe(arguments.model.absolute(), arguments.size, arguments.precision)
    return sd_scripts.compare(app.jobs, rival, recipe, report).to_json()


def _train(arguments: argparse.Namespace) -> int:
    from lib_trainer import cli_accelerate, cli_training

    changes = dict(pair(text, "--set") for text in arguments.set)
    if arguments.resume is not None:
        changes["resume"] = arguments.resume
    world = cli_accelerate.Processes() if cli_accelerate.launched() else None
    code = cli_training.run(
        lambda: _app(arguments, world=world, logs=True), arguments.config, changes, arguments.json, world)
    if world:
        world.leave()
    return code


def _losses(arguments: argparse.Namespace) -> int:
    from lib_trainer import cli_losses

    return cli_losses.run(arguments.run, arguments.outputs_dir, arguments.csv)


def _generate(arguments: argparse.Namespace) -> int:
    from lib_trainer.txt2img_host import GenerateRequest

    if arguments.out.exists():
        raise UserError(f"{arguments.out} exists and is not overwritten: give another --out.")
    request = GenerateRequest(
        prompt=arguments.prompt, negative=arguments.negative, seed=arguments.seed, steps=arguments.steps,
        cfg=arguments.cfg, width=arguments.width, height=arguments.height, sampler=arguments.sampler,
        clip_skip=arguments.clip_skip,
    )
    picture = _app(arguments, arguments.presets, arguments.elemental).host.generate(request)[0]
    if picture.file is None:
        raise RuntimeError("The host has not saved the picture.")
    try:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(picture.file, arguments.out)
    except OSError as error:
        raise UserError(f"The picture is in {picture.file}, but {arguments.out} cannot be written ({error.strerror}): "
                        "give another --out.") from None
    for comment in picture.comments:
        print(comment, file=sys.stderr)
    return DONE


def _analyze(arguments: argparse.Namespace) -> int:
    from lib_trainer import cli_analyze

    return cli_analyze.run(lambda: _app(arguments), arguments)
