"""What every route of ours has in common: a same-origin check, a login, and an answer to whatever goes wrong.

What a person can mend comes back as `{"problems": [sentence, ...]}` with status 400, a second start with 409, our own
bugs with 500. This module holds the API boundary, one of the two places that catch everything.
"""
from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from lib_trainer.errors import Problems, UserError

PREFIX = "/lora-trainer/v1"

Login = Callable[..., Any]
"""A FastAPI dependency that raises when the caller may not ask."""


class SecondStart(UserError):
    """A training was started while another one runs."""


class Boundary(APIRoute):
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


def router_of(login: Login | None, web: FastAPI | None = None) -> APIRouter:
    """Returns an empty router whose routes are guarded by the same-origin check and by `login`.

    Args:
        login: see `Login`; None = no login.
        web: the application that `mount` will give the routes to, None = whoever includes the router.
    """
    guards = [Depends(same_origin)] + ([Depends(login)] if login else [])
    if web is None:
        return APIRouter(prefix=PREFIX, route_class=Boundary, dependencies=guards)
    return APIRouter(
        prefix=PREFIX, route_class=Boundary, dependencies=[*web.router.dependencies, *guards],
        default_response_class=web.router.default_response_class, dependency_overrides_provider=web)


def mount(web: FastAPI, router: APIRouter) -> None:
    """Gives an application the routes of a router that was made for it.

    `include_router` would make every route a second time, and a route takes half a millisecond or more: all of them
    together are a tenth of what a WebUI's start may take longer because of us.
    """
    web.router.routes.extend(router.routes)


def same_origin(request: Request) -> None:
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


def _place(fault: Mapping[str, Any]) -> str:
    """Where in a request a fault lies, such as "query after" or "body"."""
    return " ".join(str(part) for part in fault["loc"])
