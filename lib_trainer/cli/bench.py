"""The command `bench`: measures what training costs, or what it teaches, in a folder that is removed afterwards."""
from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.cli.arguments import print_json
from lib_trainer.cli.exit_codes import DONE, MISTAKE
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.bootstrap import EmbeddedApp


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options and the command."""
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


def _bench(arguments: argparse.Namespace) -> int:
    """Measures in a temporary folder; prints the figures as JSON, and 1 tells that they are worse than promised."""
    from lib_trainer import bootstrap
    from lib_trainer.bench import caches, data, extraction, speed, workbench

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "data":
            print_json(data.measure(Path(folder) / "pictures", arguments.pictures or 50000, report).to_json())
            return DONE
        if arguments.what == "workbench":
            resized = workbench.measure(Path(folder), report).to_json()
            print_json({"resize": resized, "extraction": extraction.measure(report).to_json()})
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
