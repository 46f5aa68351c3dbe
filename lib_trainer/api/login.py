"""Who may ask: the page's own login, as gradio keeps it, and the accounts of a WebUI's API (HTTP basic).

gradio keeps its sessions in cookies whose names differ between its versions; its own routes `/user` and `/login_check`
know them, so those are asked.
"""
from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute

from lib_trainer.api.boundary import Login


def page_login(web: FastAPI) -> Login:
    """Returns the login of a gradio page: it raises 401 when the page has accounts and the caller is not logged in.

    Args:
        web: the application that serves the page; one without a page (an API alone) has nobody logged in.
    """
    user, check = _endpoint(web, "/user"), _endpoint(web, "/login_check")
    if user is None or check is None:
        return _nobody

    def logged_in(request: Request) -> None:
        check(user(request))

    return logged_in


def api_login(accounts: Mapping[str, str]) -> Login:
    """Returns HTTP basic authentication with these accounts (name -> password); no accounts = everybody may ask."""
    known = [f"{name}:{password}".encode() for name, password in accounts.items()]

    def authenticated(request: Request) -> None:
        given = _credentials(request)
        if known and not any([secrets.compare_digest(given, one) for one in known]):
            raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    return authenticated


def either(first: Login, second: Login) -> Login:
    """Returns a login that is passed by whoever passes one of two; the second one's refusal is told."""

    def passed(request: Request) -> None:
        try:
            first(request)
        except HTTPException:
            second(request)

    return passed


def _nobody(request: Request) -> None:
    raise HTTPException(401, "Not authenticated")


def _endpoint(web: FastAPI, path: str) -> Callable[..., Any] | None:
    return next((route.endpoint for route in web.routes if isinstance(route, APIRoute) and route.path == path), None)


def _credentials(request: Request) -> bytes:
    """Returns `name:password` of the request, empty when there is none that can be read."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return b""
