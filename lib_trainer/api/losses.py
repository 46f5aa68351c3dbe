"""Losses of a training by timestep and by picture: a sorted list a page at a time, thumbnails, all as a table.

They come out of the file in the job's folder that the run writes now and then, so they outlive the run.
"""
from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from lib_trainer.data.scanning.opening import UnreadablePicture, open_small
from lib_trainer.errors import UserError
from lib_trainer.job import Job
from lib_trainer.jobs import Jobs
from lib_trainer.training.statistics import losses_file

_SIDE = 96
"""Pixels of a thumbnail's longer side."""

_JOB = Query(default=0, ge=0)
_FIRST = Query(default=0, ge=0)
_COUNT = Query(default=50, ge=1, le=500)
_ORDER = Query(default="highest", pattern="^(highest|lowest|uses|file)$")
_KEYS = {
    "highest": lambda one: -one["loss"], "lowest": lambda one: one["loss"], "uses": lambda one: -one["uses"],
    "file": lambda one: one["file"],
}


def add_losses(router: APIRouter, jobs: Jobs) -> None:
    """Adds the routes that read the losses of the trainings of this process; `job` 0 = the current one."""

    @router.get("/losses")
    def losses(
        job: int = _JOB, first: int = _FIRST, count: int = _COUNT, order: str = _ORDER
    ) -> dict[str, Any]:
        """Losses by timestep, and the pictures numbered `first` (from 0) and on in the order asked for.

        A picture's loss is a multiple of what its timesteps have on average; a high one usually means a wrong tag.
        """
        found = _read(_folder(jobs, job))
        pictures = sorted(losses_file.ranked(found["pictures"]), key=_KEYS[order])
        shown = [{**one, "name": one["file"] if one.get("is_prompt") else Path(one["file"]).name}
                 for one in pictures[first : first + count]]
        return {"step": found["step"], "bands": found["bands"], "total": len(pictures), "pictures": shown}

    @router.get("/losses.csv")
    def table(job: int = _JOB) -> Response:
        """All pictures as CSV, the highest loss first."""
        folder = _folder(jobs, job)
        text = losses_file.as_csv(losses_file.ranked(_read(folder)["pictures"]))
        named = {"Content-Disposition": 'attachment; filename="losses.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=named)

    @router.get("/thumbnail")
    def thumbnail(picture: int, job: int = _JOB) -> Response:
        """A small JPEG of a picture by its number in the job's list; no other file is served."""
        pictures = _read(_folder(jobs, job))["pictures"]
        if not 0 <= picture < len(pictures):
            raise HTTPException(404, f"There is no picture {picture}: the list has {len(pictures)}.")
        try:
            image = open_small(Path(pictures[picture]["file"]), _SIDE)
        except UnreadablePicture as error:
            raise HTTPException(404, f"The picture cannot be shown: {error}.") from None
        content = io.BytesIO()
        image.save(content, "JPEG", quality=82)
        return Response(content.getvalue(), media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})


def _folder(jobs: Jobs, number: int) -> Path:
    """Returns the folder of a job.

    Raises:
        UserError: there is no such job, or it has not begun.
    """
    history = jobs.history
    asked: Job | None = jobs.current
    if number:
        if number > len(history):
            raise UserError(f"There is no job {number}: this process has had {len(history)}.")
        asked = history[number - 1]
    if asked is None or asked.folder is None:
        raise UserError("No training has begun yet, so there are no losses: press Start first.")
    return asked.folder


def _read(folder: Path) -> dict[str, Any]:
    """Returns what the file of a job says; read once as long as it stays the same."""
    path = folder / losses_file.NAME
    return _read_once(folder, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=2)
def _read_once(folder: Path, changed: int) -> dict[str, Any]:
    """`changed` is there to be part of the cache's key."""
    return losses_file.read(folder)
