"""The command `train`: a training in this process, told line by line or as JSON lines of its events."""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.cli import processes, recipe
from lib_trainer.cli.arguments import print_json
from lib_trainer.cli.exit_codes import BUG, DONE, MISTAKE
from lib_trainer.errors import Problems, UserError
from lib_trainer.training import check

if TYPE_CHECKING:
    from lib_trainer.bootstrap import App
    from lib_trainer.host import Host
    from lib_trainer.job import Job
    from lib_trainer.training.checks.findings import Findings
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.controls import Controls
    from lib_trainer.training.world import World

_TWICE = 1.0
"""Seconds in which two interrupts are one press: a launcher of several processes passes on what they got already."""


def run(
    start: Callable[[], App], settings: Path, changes: Mapping[str, str], as_json: bool, world: World | None = None
) -> int:
    """Trains as a settings file says; returns the exit code.

    Args:
        start: starts the host; called when the settings file could be read.
        settings: file of any kind that `interchange.reading` understands.
        changes: settings that win over the file's.
        as_json: print every event as a line of JSON; a refusal is printed as the event `Failed`.
        world: the processes that train together; process 0 speaks for all.

    Raises:
        UserError: the training was refused.
    """
    try:
        imported, values = recipe.read(settings, changes)
        app = start()
        job = app.jobs.start(*checked(imported.problems, values, app.host))
    except UserError as error:
        if as_json:
            problems = error.problems if isinstance(error, Problems) else [str(error)]
            print_json({"kind": "Failed", "message": str(error), "user": True, "problems": problems})
        raise
    return follow(job, as_json, world.rank if world else 0)


def checked(problems: list[str], values: Mapping[str, Any], host: Host) -> tuple[TrainConfig, Findings]:
    """Returns the config, and what was found, when nothing is wrong with it.

    Args:
        problems: what is wrong with the file already.
        values: its settings. host: where to train.

    Raises:
        Problems: all faults together.
    """
    faults = list(problems)
    try:
        settled = check.settle(values, host)
    except UserError as error:
        faults += error.problems if isinstance(error, Problems) else [str(error)]
    if faults:
        raise Problems(faults)
    return settled


def follow(job: Job, as_json: bool, rank: int = 0) -> int:
    """Tells what a job does until its end, and logs it; returns the exit code.

    Args:
        job: a job that has begun.
        as_json: print every event as a line of JSON.
        rank: number of this process; others than 0 tell only why they failed.
    """
    seen, log, pressed = 0, _Log(job.config), -_TWICE
    last: dict[str, Any] = {}
    while job.running or job.events(seen):
        try:
            for event in job.wait_events(seen, timeout=1.0):
                seen, last = event["number"], event
                if rank == 0:
                    _show(event, as_json)
                    log.take(event)
                if event["kind"] == "Paused":  # nobody is here who could mend it and press Continue
                    job.controls.stop(save=False)
        except KeyboardInterrupt:
            if time.monotonic() - pressed > _TWICE:
                _interrupt(job.controls)
            pressed = time.monotonic()
    if last.get("kind") != "Failed":
        return DONE
    print(f"Process {rank}: " * (rank > 0) + (last["message"] if last["user"] else last["traceback"]), file=sys.stderr)
    return MISTAKE if last["user"] else BUG


class _Log:
    """The log for TensorBoard, if one is wished for; what keeps it from being written is told and stops nothing."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._tracker: processes.Tracker | None = None

    def take(self, event: dict[str, Any]) -> None:
        """Begins with the run and writes down what its events say."""
        if event["kind"] == "Started" and self._config.log_with:
            try:
                self._tracker = processes.Tracker(self._config, Path(event["folder"]))
            except UserError as fault:
                print(fault, file=sys.stderr)
        elif self._tracker:
            self._tracker.take(event)


def _interrupt(controls: Controls) -> None:
    """The first Ctrl+C finishes the step and saves, the second one does not save."""
    again = bool(controls.stopping)
    controls.stop(save=not again)
    print("Stopping without saving." if again else "Stopping after this step; the LoRA will be saved. "
          "Press Ctrl+C again to stop without saving.", file=sys.stderr)


def _show(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(event)
        return
    kind = event["kind"]
    if kind == "Stepped":
        print(event["text"], flush=True)
    elif kind == "PhaseStarted":
        print(f"{event['place']} of {event['of']}: {event['title']}", flush=True)
    elif kind == "CopyScored":
        print(f"copy score {event['score']:.2f} after {event['step']} steps", flush=True)
    elif kind == "WorkDone":
        print("\n".join(filter(None, [event["facts"].get("summary", ""), *event["notes"]])), flush=True)
    elif kind == "StrengthsSheet":
        at = ", ".join(f"{strength:g}" for strength in event["strengths"])
        print(f"{event['pictures']} pictures of the result at the strengths {at}: {event['file'] or event['folder']}",
              flush=True)
    elif kind in ("Cached", "Worked"):
        print(f"{event['what']}: {event['done']}/{event['total']}", flush=True)
    elif kind == "Validated":
        best = f" (best {event['best_loss']:.5g} at step {event['best_step']})" if event["best_step"] else ""
        print(f"validation loss {event['loss']:.5g} after {event['step']} steps{best}", flush=True)
    elif kind in ("Saved", "StateSaved"):
        print(f"saved {event.get('file') or event['folder']}", flush=True)
    elif kind == "Finished" and event["tag"]:
        print(f"done in {event['seconds']:.0f} s; write {event['tag']} in the prompt"
              + (f", with {event['trigger']}" if event["trigger"] else ""), flush=True)
    elif kind in ("Warned", "BrokenOff", "Paused", "EndedEarly"):
        print(event.get("message") or event["reason"], file=sys.stderr)
