"""The HTTP face of training, under `/lora-trainer/v1`: for the page's JavaScript, scripts and other machines.

Everything is JSON; faults too (`boundary`). The embedded page mounts all routes. A WebUI always mounts the reading ones
that its page needs, and the others only when it was started with its API. `login` guards every route.
"""
from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from lib_trainer.api.analysis import add_analysis
from lib_trainer.api.blocks import add_blocks
from lib_trainer.api.boundary import Login, SecondStart, router_of
from lib_trainer.api.interchange import add_interchange
from lib_trainer.api.losses import add_losses
from lib_trainer.api.queue import add_queue, add_queue_list, queue_state
from lib_trainer.api.reports import add_reports
from lib_trainer.api.workbench import add_workbench, add_workbench_state
from lib_trainer.blocks import presets
from lib_trainer.blocks.layouts import LAYOUTS
from lib_trainer.data.scanning import new_folder
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.job import Job
from lib_trainer.jobs import Jobs

_PICTURES = {".png", ".jpg", ".jpeg", ".webp"}
_LOCALES = {
    "ja": "ja_JP.json", "zh": "zh_CN.json", "zh-tw": "zh_TW.json", "zh-hk": "zh_TW.json", "zh-mo": "zh_TW.json",
    "zh-hant": "zh_TW.json",
}
"""Files by the browser's name of the language."""
_VALUES = Body(default={})
_SAVE = Body(default=True, embed=True)
_AFTER = Query(default=0, ge=0)
_JOB = Query(default=0, ge=0)
_POINTS = Query(default=0, ge=0)


def routes(jobs: Jobs, host: Host, locales: Path) -> APIRouter:
    """Returns every route, for the embedded page, which has no login and translates itself.

    Args:
        jobs: where trainings start.
        host: the host trained on.
        locales: folder of `ja_JP.json` ...
    """
    router = APIRouter()
    router.include_router(page_routes(jobs, host))
    router.include_router(caller_routes(jobs, host))
    router.include_router(_locale_routes(locales))
    return router


def page_routes(jobs: Jobs, host: Host, login: Login | None = None, web: FastAPI | None = None) -> APIRouter:
    """Returns the routes that only read and that the page itself needs: events, previews, the block editor's.

    Args:
        login: FastAPI dependency that raises when the caller is not logged in; None = no login. It guards every route.
        web: the application they are for, see `boundary.mount`.
    """
    router = router_of(login, web)
    _add_events(router, jobs)
    add_queue_list(router, jobs)
    _add_preview(router, host)
    add_losses(router, jobs)
    add_blocks(router, host)
    add_workbench_state(router, jobs)
    return router


def caller_routes(jobs: Jobs, host: Host, login: Login | None = None, web: FastAPI | None = None) -> APIRouter:
    """Returns all other routes, for scripts and other machines; `login` and `web` as in `page_routes`."""
    router = router_of(login, web)
    _add_status(router, jobs, host)
    _add_buttons(router, jobs, host)
    add_queue(router, jobs)
    _add_dataset(router, host)
    add_reports(router, host, jobs)
    _add_presets(router, host)
    add_analysis(router, host)
    add_interchange(router, host)
    add_workbench(router, jobs)
    return router


def thin(events: list[dict[str, Any]], points: int) -> list[dict[str, Any]]:
    """Returns the events with at most about `points` steps among them, evenly spread; the last step always stays.

    A run of 100,000 steps then reloads in one small answer: the chart has fewer pixels than that.
    """
    steps = [event["number"] for event in events if event["kind"] == "Stepped"]
    if not points or len(steps) <= points:
        return events
    stride = -(-len(steps) // points)
    kept = {*steps[::stride], steps[-1]}
    return [event for event in events if event["kind"] != "Stepped" or event["number"] in kept]


def _add_events(router: APIRouter, jobs: Jobs) -> None:
    process = secrets.token_hex(4)  # job numbers begin anew with every start of the program, pages stay open

    @router.get("/events")
    def events(after: int = _AFTER, run: str = "", points: int = _POINTS, job: int = _JOB) -> dict[str, Any]:
        """Events numbered above `after` of a job (0 = the current one); all when `run`, as answered, is another's."""
        asked = _numbered(jobs, job) if job else jobs.current
        if asked is None:
            return {"job": 0, "run": "", "running": False, "events": [], "last": 0, "queue": queue_state(jobs)}
        state = {**_state(asked), "run": f"{process}-{asked.number}"}
        seen = after if run in ("", state["run"]) else 0
        fresh = asked.events(seen)
        last = fresh[-1]["number"] if fresh else seen
        return {**state, "events": thin(fresh, points), "last": last, "queue": queue_state(jobs)}


def _add_preview(router: APIRouter, host: Host) -> None:
    @router.get("/preview")
    def preview(file: str) -> FileResponse:
        """A picture of a job; nothing outside the outputs folder is served."""
        path = Path(file).resolve()
        inside = path.is_relative_to(host.paths.outputs.resolve())
        if not inside or path.suffix.lower() not in _PICTURES or not path.is_file():
            raise HTTPException(404, "There is no such preview.")
        return FileResponse(path)


def _add_status(router: APIRouter, jobs: Jobs, host: Host) -> None:
    @router.get("/status")
    def status() -> dict[str, Any]:
        """The current job, the checkpoint in use, and what forbids training now."""
        current = jobs.current
        checkpoint = host.checkpoint()
        return {
            **(_state(current) if current else {"job": 0, "running": False}),
            "host": host.name, "obstacles": host.obstacles(),
            "checkpoint": {"name": checkpoint.name, "family": checkpoint.family.label,
                           "resolution": checkpoint.resolution, "prediction": checkpoint.prediction},
        }

    @router.get("/jobs")
    def history() -> dict[str, Any]:
        """The trainings of this process, the first one first, each with the event that ended it."""
        return {"jobs": [{**_state(job), "folder": str(job.folder or ""), "outcome": _outcome(job)}
                         for job in jobs.history]}

    @router.get("/files")
    def files(job: int = _JOB) -> dict[str, Any]:
        """LoRA files that are there still, previews, and pictures of finished sliders; `job` = of one training."""
        asked = [_numbered(jobs, job)] if job else jobs.history
        events = [{**event, "job": one.number} for one in asked for event in one.events()]
        gone = {(event["job"], event["name"]) for event in events if event["kind"] == "Removed"}
        events = [event for event in events if event["kind"] != "Saved" or (event["job"], event["name"]) not in gone]
        return {kind: [event for event in events if event["kind"] == wanted]
                for kind, wanted in (("loras", "Saved"), ("previews", "Previewed"), ("strengths", "StrengthsDrawn"))}


def _add_buttons(router: APIRouter, jobs: Jobs, host: Host) -> None:
    @router.post("/start")
    def start(values: dict[str, Any] = _VALUES) -> dict[str, Any]:
        """Starts a training with settings by name (ours or kohya's)."""
        return _state(start_training(jobs, host, values))

    @router.post("/stop")
    def stop(save: bool = _SAVE) -> dict[str, Any]:
        """Ends the run after the running step; `{"save": false}` leaves no file."""
        return _press(jobs, lambda job: job.controls.stop(save))

    @router.post("/pause")
    def pause() -> dict[str, Any]:
        return _press(jobs, lambda job: job.controls.pause())

    @router.post("/continue")
    def resume() -> dict[str, Any]:
        return _press(jobs, lambda job: job.controls.resume())

    @router.post("/save")
    def save_now() -> dict[str, Any]:
        return _press(jobs, lambda job: job.controls.save_now())

    @router.post("/sample")
    def sample_now() -> dict[str, Any]:
        return _press(jobs, lambda job: job.controls.sample_now())


def _add_dataset(router: APIRouter, host: Host) -> None:
    @router.get("/dataset")
    def dataset(request: Request) -> dict[str, Any]:
        """What lies in a picture folder and the steps that follow; settings by name in the query, `folder` = images."""
        values = dict(request.query_params)
        values["images"] = values.pop("folder", values.get("images", ""))
        from lib_trainer.training import config_reading, forecast

        config, _ = config_reading.read(values)
        return forecast.forecast(config, host).to_json()

    @router.post("/pictures")
    async def pictures(request: Request) -> dict[str, Any]:
        """Puts dropped pictures and captions (multipart `files`) into the dataset folder of the given `name`."""
        form = await request.form()
        name = str(form.get("name", ""))
        files = [(file.filename or "", file.file) for file in form.getlist("files") if isinstance(file, UploadFile)]
        folder, refused = await run_in_threadpool(new_folder.add, host.paths.settings / "datasets", name, files)
        return {"folder": str(folder), "problems": refused}


def _add_presets(router: APIRouter, host: Host) -> None:
    @router.get("/presets")
    def names() -> dict[str, list[str]]:
        """Names of the block presets that fit a Stable Diffusion, in the order of their file."""
        found = presets.read_or_create(host.paths.settings / presets.SHIPPED.name)
        fitting = (preset.name for preset in found.entries if len(preset.items) in LAYOUTS)
        return {"presets": list(dict.fromkeys(fitting))}


def _locale_routes(locales: Path) -> APIRouter:
    router = router_of(None)

    @router.get("/locale")
    def locale(language: str) -> dict[str, str]:
        """The texts of the page in the browser's language ("ja", "zh-TW"); empty where there are none."""
        texts: dict[str, str] = {}
        if (file := _LOCALES.get(language.lower(), _LOCALES.get(language.lower().partition("-")[0]))) is not None:
            texts = json.loads((locales / file).read_text(encoding="utf8"))
        return texts

    return router


def start_training(jobs: Jobs, host: Host, values: dict[str, Any]) -> Job:
    """Starts a training with settings by name.

    Raises:
        SecondStart: another training runs. Problems: everything that is wrong with the settings.
    """
    if jobs.current is not None and jobs.current.running:
        raise SecondStart(f"'{jobs.current.name}' is being trained: wait for its end or stop it, then start again.")
    from lib_trainer.training import check

    return jobs.start(*check.settle(values, host))


def _state(job: Job) -> dict[str, Any]:
    return {
        "job": job.number, "name": job.name, "running": job.running,
        "paused": job.controls.paused, "stopping": job.controls.stopping,
    }


def _numbered(jobs: Jobs, number: int) -> Job:
    history = jobs.history
    if number > len(history):
        raise UserError(f"There is no job {number}: this process has had {len(history)}.")
    return history[number - 1]


def _outcome(job: Job) -> dict[str, Any]:
    """The event that ended a job; empty while it runs."""
    return {} if job.running else job.events()[-1]


def _press(jobs: Jobs, press: Callable[[Job], None]) -> dict[str, Any]:
    job = jobs.running()
    press(job)
    return _state(job)
