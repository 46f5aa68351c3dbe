"""The HTTP face of training, under `/train-lora/v1`: for the page's JavaScript, scripts and other machines.

Everything is JSON. What a person can mend comes back as `{"problems": [sentence, ...]}` with status 400, a second
start with 409, our own bugs with 500. The router is mounted by the embedded page and by the WebUIs alike; `login`
guards every route, reading included. This module holds the API boundary, one of the two places that catch everything.
"""
from __future__ import annotations

import json
import secrets
import traceback
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from lib_trainer.blocks import presets
from lib_trainer.blocks.layouts import LAYOUTS
from lib_trainer.data import new_folder
from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.jobs import Job, Jobs
from lib_trainer.training import check, forecast
from lib_trainer.training.config import TrainConfig

PREFIX = "/train-lora/v1"

_PICTURES = {".png", ".jpg", ".jpeg", ".webp"}
_LOCALES = {
    "ja": "ja_JP.json", "zh": "zh_CN.json", "zh-tw": "zh_TW.json", "zh-hk": "zh_TW.json", "zh-mo": "zh_TW.json",
    "zh-hant": "zh_TW.json",
}
"""Files by the browser's name of the language."""
_VALUES = Body(default={})
_SAVE = Body(default=True, embed=True)
_AFTER = Query(default=0, ge=0)
_POINTS = Query(default=0, ge=0)


class SecondStart(UserError):
    """A training was started while another one runs."""


class _Boundary(APIRoute):
    """The API boundary: turns every exception of a route into JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException:
                raise
            except Exception as error:  # the API boundary: whoever asked gets an answer, the server goes on
                return _answer(error)

        return guarded


def routes(
    jobs: Jobs, host: Host, locales: Path | None = None, login: Callable[..., Any] | None = None
) -> APIRouter:
    """Returns the router with every route of this extension.

    Args:
        jobs: where trainings start.
        host: the host trained on.
        locales: folder of `ja_JP.json` ..., for a page that must translate itself; None inside a WebUI.
        login: FastAPI dependency that raises when the caller is not logged in; None = no login.
    """
    guards = [Depends(_same_origin)] + ([Depends(login)] if login else [])
    router = APIRouter(prefix=PREFIX, route_class=_Boundary, dependencies=guards)
    _add_reading(router, jobs, host)
    _add_buttons(router, jobs, host)
    _add_dataset(router, host)
    _add_presets(router, host)
    if locales is not None:
        _add_locales(router, locales)
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


def _add_reading(router: APIRouter, jobs: Jobs, host: Host) -> None:
    process = secrets.token_hex(4)  # job numbers begin anew with every start of the program, pages stay open

    @router.get("/events")
    def events(after: int = _AFTER, run: str = "", points: int = _POINTS) -> dict[str, Any]:
        """Events numbered above `after`; all of them when `run`, as answered before, is not the current one."""
        current = jobs.current
        if current is None:
            return {"job": 0, "run": "", "running": False, "events": [], "last": 0}
        state = {**_state(current), "run": f"{process}-{current.number}"}
        seen = after if run in ("", state["run"]) else 0
        fresh = current.events(seen)
        return {**state, "events": thin(fresh, points), "last": fresh[-1]["number"] if fresh else seen}

    @router.get("/status")
    def status() -> dict[str, Any]:
        """The current job and the checkpoint in use."""
        current = jobs.current
        checkpoint = host.checkpoint()
        return {
            **(_state(current) if current else {"job": 0, "running": False}),
            "host": host.name,
            "checkpoint": {"name": checkpoint.name, "family": checkpoint.family.label,
                           "resolution": checkpoint.resolution, "prediction": checkpoint.prediction},
        }

    @router.get("/preview")
    def preview(file: str) -> FileResponse:
        """A picture of a job; nothing outside the outputs folder is served."""
        path = Path(file).resolve()
        inside = path.is_relative_to(host.paths.outputs.resolve())
        if not inside or path.suffix.lower() not in _PICTURES or not path.is_file():
            raise HTTPException(404, "There is no such preview.")
        return FileResponse(path)


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
        config, _ = TrainConfig.read(values)
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
        return {"presets": [preset.name for preset in found.entries if len(preset.items) in LAYOUTS]}


def _add_locales(router: APIRouter, locales: Path) -> None:
    @router.get("/locale")
    def locale(language: str) -> dict[str, str]:
        """The texts of the page in the browser's language ("ja", "zh-TW"); empty where there are none."""
        texts: dict[str, str] = {}
        if (file := _LOCALES.get(language.lower(), _LOCALES.get(language.lower().partition("-")[0]))) is not None:
            texts = json.loads((locales / file).read_text(encoding="utf8"))
        return texts


def start_training(jobs: Jobs, host: Host, values: dict[str, Any]) -> Job:
    """Starts a training with settings by name.

    Raises:
        SecondStart: another training runs. Problems: everything that is wrong with the settings.
    """
    if jobs.current is not None and jobs.current.running:
        raise SecondStart(f"'{jobs.current.name}' is being trained: wait for its end or stop it, then start again.")
    return jobs.start(check.read(values, host))


def _state(job: Job) -> dict[str, Any]:
    return {
        "job": job.number, "name": job.name, "running": job.running,
        "paused": job.controls.paused, "stopping": job.controls.stopping,
    }


def _place(fault: Mapping[str, Any]) -> str:
    """Where in a request a fault lies, such as "query after" or "body"."""
    return " ".join(str(part) for part in fault["loc"])


def _press(jobs: Jobs, press: Callable[[Job], None]) -> dict[str, Any]:
    current = jobs.current
    if current is None or not current.running:
        raise UserError("No training is running, so there is nothing to stop, pause or save: press Start first.")
    press(current)
    return _state(current)


def _same_origin(request: Request) -> None:
    """Refuses what another web site sends from the person's browser (it would carry the login along)."""
    origin = request.headers.get("origin")
    hosts = {request.headers.get("host"), request.headers.get("x-forwarded-host")}
    if origin and urlsplit(origin).netloc not in hosts:
        raise HTTPException(403, "Requests of other web sites are refused.")


def _answer(error: Exception) -> JSONResponse:
    if isinstance(error, Problems):
        return JSONResponse({"problems": error.problems}, 400)
    if isinstance(error, UserError):
        return JSONResponse({"problems": [str(error)]}, 409 if isinstance(error, SecondStart) else 400)
    if isinstance(error, RequestValidationError):
        return JSONResponse({"problems": [f"{_place(fault)}: {fault['msg']}." for fault in error.errors()]}, 400)
    sentence = f"This is a bug of Train LoRA, please report it: {type(error).__name__}: {error}"
    return JSONResponse({"problems": [sentence], "traceback": traceback.format_exc()}, 500)
