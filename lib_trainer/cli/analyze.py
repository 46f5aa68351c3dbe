"""The command `blocks analyze`: which blocks of a LoRA matter, by predictions in seconds or by pictures."""
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.cli.arguments import print_json
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.bootstrap import EmbeddedApp
    from lib_trainer.compare.asked import Asked, Plan
    from lib_trainer.compare.picture_run import Findings
    from lib_trainer.host import Host

_EVERY = 2.0
"""Seconds between two lines of progress."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options; the host's folders are added by the caller."""
    parser.add_argument("--lora", required=True, metavar="FILE", help="the LoRA's file, or its name in the LoRA folder")
    parser.add_argument("--prompt", required=True, help="prompt to draw; a tag of the LoRA gives its strength")
    parser.add_argument("--pictures", action="store_true", help="draw a picture for each block (slower)")
    parser.add_argument("--keep", type=float, default=0.9, help="part of the effect that the proposal keeps, 0 to 1")
    parser.add_argument("--blocks", default="AUTO", help="AUTO, 12ALL, 17ALL, 20ALL, 26ALL or a list")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clip-skip", type=int, default=1)
    parser.add_argument("--range", default="0.5,1", metavar="A,B",
                        help="pictures: weight of the examined block, and of all others")
    parser.add_argument("--seeds", type=int, default=1, help="pictures: number of seeds")
    parser.add_argument("--threshold", type=int, default=20, help="pictures: difference that counts as changed, of 255")
    parser.add_argument("--ground", default="black", help="pictures: ground of the differences, black or white")
    parser.add_argument("--swap", action="store_true", help="pictures: blocks from left to right")
    parser.add_argument("--negative", default="")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=7.0)
    parser.add_argument("--width", type=int, default=0, help="pixels; 0 = the checkpoint's own size")
    parser.add_argument("--height", type=int, default=0, help="pixels; 0 = the checkpoint's own size")
    parser.add_argument("--sampler", default="", help="empty = the host's default")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder for the numbers, heat map and pictures")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(start: Callable[[], EmbeddedApp], arguments: argparse.Namespace) -> int:
    """Analyses; returns the exit code.

    Args:
        start: starts the host, after the LoRA folder has been settled in `arguments`.

    Raises:
        UserError: something cannot be used.
    """
    try:
        return _run(start, arguments)
    except UserError as error:
        if arguments.json:
            print_json({"errors": str(error).splitlines()})
        raise


def _run(start: Callable[[], EmbeddedApp], arguments: argparse.Namespace) -> int:
    from lib_trainer.compare import asked as asking

    _require_new(arguments.out)
    path = Path(arguments.lora)
    if path.is_file() and not path.resolve().is_relative_to(arguments.loras_dir.resolve()):
        arguments.loras_dir = path.parent  # tags name LoRAs of the host's folder
    host = start().host
    plan = asking.plan(_asked(arguments, host), host)
    kind = "pictures" if arguments.pictures else "predictions"
    _tell(f"{len(plan.groups)} to examine: {plan.cost().count} {kind}.")
    findings = _followed(plan, host)
    if arguments.json:
        print_json(findings.analysis.to_json())
    else:
        _print(findings)
    if arguments.out:
        from lib_trainer.compare import saving

        saving.save(findings, arguments.out)
    return 0


def _asked(arguments: argparse.Namespace, host: Host) -> Asked:
    from lib_trainer.compare.analysis import PICTURES, QUICK
    from lib_trainer.compare.asked import Asked
    from lib_trainer.compare.block_groups import parse_range
    from lib_trainer.compare.pictures import Settings
    from lib_trainer.host_model import PreviewRequest
    from lib_trainer.lora.finding import find_lora

    file = find_lora(arguments.lora, host)
    if file is None:
        raise UserError(f"There is no LoRA '{arguments.lora}', neither as a file nor in {arguments.loras_dir}: check "
                        "the name.")
    low, high = parse_range(arguments.range)
    return Asked(
        file.stem, file, arguments.prompt, PICTURES if arguments.pictures else QUICK, arguments.keep, arguments.blocks,
        arguments.seed, Settings(low, high, arguments.seeds, arguments.threshold, arguments.ground, arguments.swap),
        PreviewRequest("", negative=arguments.negative, steps=arguments.steps, cfg=arguments.cfg,
                       width=arguments.width, height=arguments.height, sampler=arguments.sampler,
                       clip_skip=arguments.clip_skip))


def _followed(plan: Plan, host: Host) -> Findings:
    """Analyses, with a line now and then about how long it takes."""
    from lib_trainer.compare.cost import duration

    steps, told = plan.analyse(host), time.monotonic()
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            found: Findings = end.value
            return found
        if time.monotonic() - told >= _EVERY:
            told = time.monotonic()
            _tell(f"{step.done} of {step.total} ({step.what}), about {duration(step.left)} left")


def _print(findings: Findings) -> None:
    from lib_trainer.compare.analysis import cost_line, percent, summary

    analysis = findings.analysis
    measures = list(analysis.effects[0].measures)
    print(f"{'blocks':<16}{'effect':>10}{'share':>9}" + "".join(f"{name:>10}" for name in measures))
    for one in analysis.effects:
        numbers = "".join(f"{one.measures[name]:>10.4g}" for name in measures)
        print(f"{one.label:<16}{one.effect:>10.4g}{percent(one.share):>9}{numbers}")
    if analysis.proposal:
        print(summary(analysis))
        print(analysis.prompt)
    _tell(*analysis.told, f"{cost_line(analysis)}.")


def _require_new(folder: Path | None) -> None:
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not empty, and nothing is overwritten: give another --out.")


def _tell(*sentences: str) -> None:
    for sentence in sentences:
        print(sentence, file=sys.stderr, flush=True)
