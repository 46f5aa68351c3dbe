"""Routes of the LoRA workbench: what it can do, how far it is, and for scripts: start and cancel.

LoRAs are named as in a tag, or by the path of a file; checkpoints as in the host's list; new files get a plain name in
the host's own folders, and nothing is overwritten.
"""
from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Body

from lib_trainer.api.boundary import SecondStart
from lib_trainer.jobs import Jobs

_VALUES = Body(default={})


def add_workbench_state(router: APIRouter, jobs: Jobs) -> None:
    """Adds the routes that only read."""

    @router.get("/workbench")
    def state() -> dict[str, Any]:
        """The last operations of this process, the oldest first, with state and progress."""
        return {"tasks": [task.state() for task in jobs.workbench.tasks.all()]}

    @router.get("/workbench/forms")
    def forms() -> dict[str, Any]:
        """What each operation asks for: names, kinds, limits, defaults."""
        from lib_trainer.workbench.forms import table

        return {"forms": [form.to_json() for form in table.FORMS.values()]}

    @router.get("/workbench/choices")
    def choices() -> dict[str, Any]:
        """Names of the LoRAs, their folders, checkpoints and block presets that there are now."""
        return jobs.workbench.choices()

    @router.get("/workbench/{number}")
    def task(number: int) -> dict[str, Any]:
        """One operation with its outcome: the file, its tag or why there is none, numbers, table, notes."""
        return jobs.workbench.told(number)


def add_workbench(router: APIRouter, jobs: Jobs) -> None:
    """Adds the routes that start and cancel."""

    @router.post("/workbench/cancel")
    def cancel() -> dict[str, Any]:
        """Ends the running operation after what it is doing now; nothing half done is left."""
        running = jobs.workbench.tasks.running()
        running.cancel()
        return running.state()

    @router.post("/workbench/start/{operation}")
    def start(operation: str, values: dict[str, Any] = _VALUES) -> dict[str, Any]:
        """Starts an operation with values by name, as `/workbench/forms` tells; follow it by its `number`."""
        from lib_trainer.workbench.tasks import Busy

        try:
            return jobs.workbench.start(operation, values).state()
        except Busy as error:
            raise SecondStart(str(error)) from None
