"""The command `queue`: trainings in line, shared with the page of the same folders."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.cli import recipe
from lib_trainer.cli.arguments import pair, print_json
from lib_trainer.cli.exit_codes import DONE, MISTAKE
from lib_trainer.queue_file import FAILED, FILE, RUNNING, WAITING, Entry, QueueFile

if TYPE_CHECKING:
    from lib_trainer.bootstrap import App

    Start = Callable[[argparse.Namespace], App]



def add_commands(
    commands: argparse._SubParsersAction[Any], add_folders: Callable[[argparse.ArgumentParser], None], start: Start
) -> None:
    """Adds `list`, `add`, `remove`, `move` and `run`.

    Args:
        commands: where to add them.
        add_folders: adds the options of the embedded host.
        start: starts it.
    """

    def command(name: str, help: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=help)
        add_folders(parser)
        parser.set_defaults(command=run)
        return parser

    command("list", "tell what waits", _list).add_argument("--json", action="store_true", help="as JSON")
    add = command("add", "put a training at the end of the line", lambda arguments: _add(arguments, start))
    add.add_argument("config", type=Path, help="settings file, as for 'train'")
    add.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    command("remove", "take a training out", _remove).add_argument("number", type=int)
    move = command("move", "move a waiting training", _move)
    move.add_argument("number", type=int)
    move.add_argument("by", type=int, help="places down; negative = up")
    run = command("run", "train what waits, one after the other", lambda arguments: _run(arguments, start))
    run.add_argument("--json", action="store_true", help="print every event as a line of JSON")


def _queue(arguments: argparse.Namespace) -> QueueFile:
    return QueueFile((arguments.outputs_dir / "settings").absolute())


def _list(arguments: argparse.Namespace) -> int:
    entries = _queue(arguments).entries()
    if arguments.json:
        print_json({"entries": [entry.to_json() for entry in entries]})
        return DONE
    for entry in entries:
        print(_line(entry))
    if not entries:
        print(f"Nothing is in line ({arguments.outputs_dir / 'settings' / FILE}).", file=sys.stderr)
    return DONE


def _line(entry: Entry) -> str:
    return f"{entry.number:4} {entry.state:8} {entry.name}" + (f"  {entry.message}" if entry.message else "")


def _add(arguments: argparse.Namespace, start: Start) -> int:
    from lib_trainer.cli import training

    imported, values = recipe.read(arguments.config, dict(pair(text, "--set") for text in arguments.set))
    app = start(arguments)
    config, _ = training.checked(imported.problems, values, app.host)
    print(_line(app.jobs.enqueue(config.to_dict())))
    return DONE


def _remove(arguments: argparse.Namespace) -> int:
    _queue(arguments).remove(arguments.number)
    return _list(argparse.Namespace(**vars(arguments), json=False))


def _move(arguments: argparse.Namespace) -> int:
    _queue(arguments).move(arguments.number, arguments.by)
    return _list(argparse.Namespace(**vars(arguments), json=False))


def _run(arguments: argparse.Namespace, start: Start) -> int:
    """Trains all that waits; 1 tells that one of them failed."""
    from lib_trainer.cli import training

    app = start(arguments)
    queue, shown = app.jobs.queue, len(app.jobs.history)
    before = {entry.number for entry in queue.entries() if entry.state not in (WAITING, RUNNING)}
    thread = queue.start()
    runs = True
    while runs:
        runs = thread.is_alive()  # asked before the look, so that a job of the last moment is seen as well
        for job in app.jobs.history[shown:]:
            shown += 1
            print(f"== {job.name}", file=sys.stderr)
            training.follow(job, arguments.json)
        thread.join(0.2)
    ended = [entry for entry in queue.entries() if entry.number not in before]
    for entry in ended:
        print(_line(entry), file=sys.stderr)
    return MISTAKE if any(entry.state == FAILED for entry in ended) else DONE
