"""Routes of the queue: what waits, and what a person does with it."""
from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Body

from lib_trainer.jobs import Jobs

_VALUES = Body(default={})
_BY = Body(embed=True)


def queue_state(jobs: Jobs) -> dict[str, Any]:
    """Returns whether the queue is going, and its entries.

    Raises:
        UserError: the queue's file is damaged.
    """
    return {"going": jobs.queue.going, "entries": [entry.to_json() for entry in jobs.queue.entries()]}


def add_queue_list(router: APIRouter, jobs: Jobs) -> None:
    """Adds the route that only reads."""

    @router.get("/queue")
    def entries() -> dict[str, Any]:
        """The trainings in line: ended ones, the running one, those that wait."""
        return queue_state(jobs)


def add_queue(router: APIRouter, jobs: Jobs) -> None:
    """Adds the routes that change the queue."""

    @router.post("/queue")
    def add(values: dict[str, Any] = _VALUES) -> dict[str, Any]:
        """Puts a training with settings by name (ours or kohya's) at the end of the line."""
        return jobs.enqueue(values).to_json()

    @router.delete("/queue/{number}")
    def remove(number: int) -> dict[str, Any]:
        """Takes a training out of the line."""
        jobs.queue.remove(number)
        return queue_state(jobs)

    @router.post("/queue/{number}/move")
    def move(number: int, by: int = _BY) -> dict[str, Any]:
        """Moves a waiting training: `{"by": -1}` one place up, `{"by": 1}` one down."""
        jobs.queue.move(number, by)
        return queue_state(jobs)

    @router.post("/queue/start")
    def start() -> dict[str, Any]:
        """Trains what waits, one after the other."""
        jobs.queue.start()
        return queue_state(jobs)

    @router.post("/queue/pause")
    def pause() -> dict[str, Any]:
        """Begins no further training; the running one goes on."""
        jobs.queue.pause()
        return queue_state(jobs)
