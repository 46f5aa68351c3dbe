"""Every tensor and module of a host's model, to hold one moment against another."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.hosts.real.pixels import same
from tests.hosts.real.server import Server

PROMPT = "1girl, blue background"


def whole(host: Server) -> dict[str, Any]:
    """Every tensor with its bytes, every module."""
    return {**host.get("/probe/tensors"), **_modules(host)}


def without_bytes(host: Server) -> dict[str, Any]:
    """Every tensor without its bytes, every module: quicker."""
    return {**host.get("/probe/tensors?bytes_too=false"), **_modules(host)}


def bytes_left_out(state: dict[str, Any]) -> dict[str, Any]:
    """Makes of `whole` what `without_bytes` returns."""
    return {name: {key: value for key, value in entry.items() if key != "digest"} for name, entry in state.items()}


@contextmanager
def left_alone(host: Server) -> Iterator[None]:
    """Holds what the host is after a training against what it was: model, random generators, next picture."""
    before = host.draw(PROMPT)
    model, generators = whole(host), host.get("/probe/generators")
    yield
    assert host.get("/probe/generators") == generators
    assert whole(host) == model
    assert same(host.draw(PROMPT), before)
    assert whole(host) == model


def _modules(host: Server) -> dict[str, Any]:
    return {f"module {name}": entry for name, entry in host.get("/probe/modules").items()}
