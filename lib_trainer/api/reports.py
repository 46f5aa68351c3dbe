"""Routes about the data before a training: which picture goes into which bucket, and the caches on the disk."""
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Body, Query, Request

from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.jobs import Jobs

if TYPE_CHECKING:
    from lib_trainer.data.bucket_report import BucketReport

_OURS = ("order", "start", "count", "bucket", "folder")
"""Names in the query that are no settings."""

_MOST = 1000
"""Rows in one answer."""

_START, _COUNT = Query(default=0, ge=0), Query(default=100, ge=1, le=_MOST)
_KIND = Body(default="all", embed=True)


def add_reports(router: APIRouter, host: Host, jobs: Jobs) -> None:
    """Adds the routes."""
    last: dict[str, BucketReport] = {}

    @router.get("/dataset/report")
    def report(
        request: Request, order: str = "name", start: int = _START, count: int = _COUNT, bucket: str = ""
    ) -> dict[str, Any]:
        """A page of the bucket report; settings by name in the query, `folder` = images. Page 0 reads the folders anew.
        """
        values = {name: value for name, value in request.query_params.items() if name not in _OURS}
        values["images"] = request.query_params.get("folder", values.get("images", ""))
        key = json.dumps(values, sort_keys=True)
        # Requests come on several threads, so the answer never depends on what another one has left there.
        made = last.get(key) if start else None
        if made is None:
            made = _report(values, host)
            last.clear()
            last[key] = made
        return made.to_json(order, start, count, _size(bucket))

    @router.get("/cache")
    def cache() -> dict[str, Any]:
        """How many files the caches have on the disk, and their bytes."""
        from lib_trainer.training import caching

        return {kind: vars(size) for kind, size in caching.sizes(host.paths).items()}

    @router.post("/cache/clear")
    def clear(kind: str = _KIND) -> dict[str, Any]:
        """Removes the kept "latents", "captions" or "all"; returns what was removed."""
        return {kind: vars(size) for kind, size in jobs.clear_caches(kind).items()}


def _report(values: dict[str, Any], host: Host) -> BucketReport:
    """Makes a report.

    Raises:
        Problems: why there is none.
    """
    from lib_trainer.training import config_reading, forecast

    config, faults = config_reading.read(values)
    found = forecast.forecast(config, host)
    if found.report is None:
        raise Problems(list(dict.fromkeys(faults + found.problems)) or ["There are no pictures to report on."])
    return found.report


def _size(bucket: str) -> tuple[int, int] | None:
    """Reads "512x768"; "" = all buckets.

    Raises:
        UserError: no such size.
    """
    if not bucket:
        return None
    width, cross, height = bucket.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UserError(f"bucket = {bucket!r}: write it as width x height, such as 512x768.")
    return int(width), int(height)
