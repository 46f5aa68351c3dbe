"""Who may ask: gradio's own login, the accounts of a WebUI's API, and either of them."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient

from lib_trainer.api import login

PERSON = {"username": "zunko", "password": "edamame"}


def page(accounts: list[tuple[str, str]] | None, *guards: Callable[[FastAPI], Any]) -> TestClient:
    """A client of a gradio page whose routes /0, /1 ... are guarded by what `guards` make of it."""
    with gr.Blocks() as blocks:
        gr.Button("x")
    blocks.auth = accounts
    blocks.auth_message = None
    web: FastAPI = gr.routes.App.create_app(blocks)
    router = APIRouter()
    for number, guard in enumerate(guards):
        router.add_api_route(f"/{number}", lambda: "in", dependencies=[Depends(guard(web))])
    web.include_router(router)
    return TestClient(web)


def test_a_page_without_accounts_lets_everybody_in() -> None:
    assert page(None, login.page_login).get("/0").json() == "in"


def test_a_page_with_accounts_lets_those_in_who_are_logged_in() -> None:
    client = page([("zunko", "edamame")], login.page_login)
    assert client.get("/0").status_code == 401
    assert client.post("/login", data={**PERSON, "password": "wrong"}).status_code == 400
    assert client.get("/0").status_code == 401
    assert client.post("/login", data=PERSON).status_code == 200
    assert client.get("/0").json() == "in"


def test_an_api_without_a_page_has_nobody_logged_in() -> None:
    web = FastAPI()
    web.add_api_route("/0", lambda: "in", dependencies=[Depends(login.page_login(web))])
    assert TestClient(web).get("/0").status_code == 401


@pytest.mark.parametrize(("name", "password", "status"), [
    ("robot", "a:b", 200), ("second", "", 200), ("robot", "a", 401), ("robot", "", 401), ("", "", 401)])
def test_the_api_wants_one_of_its_accounts(name: str, password: str, status: int) -> None:
    client = page(None, lambda _: login.api_login({"robot": "a:b", "second": ""}))
    assert client.get("/0", auth=(name, password)).status_code == status


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!", "Bearer cm9ib3Q6YTpi"])
def test_other_credentials_are_refused(header: str) -> None:
    answer = page(None, lambda _: login.api_login({"robot": "a:b"})).get("/0", headers={"authorization": header})
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Basic"


def test_an_api_without_accounts_is_open() -> None:
    assert page([("zunko", "edamame")], lambda _: login.api_login({})).get("/0").json() == "in"


def test_either_login_will_do() -> None:
    client = page([("zunko", "edamame")],
                  lambda web: login.either(login.page_login(web), login.api_login({"robot": "beep"})))
    assert client.get("/0").status_code == 401
    assert client.get("/0", auth=("robot", "beep")).json() == "in"
    client.post("/login", data=PERSON)
    assert client.get("/0").json() == "in"
