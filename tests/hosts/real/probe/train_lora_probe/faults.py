"""Breaks a training at a chosen point.

Points are what the training's thread does, counted from the start: calls of modules (VAE, text encoder, U-Net, and
again while checkpointed layers recompute), optimiser steps, and files opened or renamed. A first run only counts; then
a fault can be put at any of them. At a point a run raises, runs out of memory, meets a full disk, breaks in the
backward pass of the module it enters, or is asked to stop.
"""
from __future__ import annotations

import errno
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

THREAD = "training"
"""What the names of the training's threads begin with."""
_FILES = ("open", "os.rename", "os.mkdir")
_CODE = (".py", ".pyc", ".so", ".pyi")


class Injected(RuntimeError):
    """A fault of ours."""


@dataclass
class Points:
    """The counter, and the fault that waits.

    Attributes:
        at: number of the point at which to break; 0 = only count.
        kind: "error", "memory", "disk", "backward" or "stop".
        stop_url: where a stop is asked for.
        passed: points passed. kinds: of which kind. hit: where the fault happened, "" while it has not.
    """

    at: int = 0
    kind: str = "error"
    stop_url: str = ""
    passed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    hit: str = ""


_points = Points()
_lock = threading.Lock()
_installed: list[Any] = []
_busy = threading.local()


def arm(at: int, kind: str, stop_url: str) -> None:
    """Begins to count anew, with a fault at a point."""
    global _points
    if not _installed:
        _install()
    with _lock:
        _points = Points(at, kind, stop_url)


def state() -> dict[str, Any]:
    with _lock:
        return {"passed": _points.passed, "kinds": dict(_points.kinds), "hit": _points.hit}


def _install() -> None:
    from torch.nn.modules.module import register_module_forward_pre_hook
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    _installed.append(register_module_forward_pre_hook(_module))
    _installed.append(register_optimizer_step_pre_hook(_optimizer))
    sys.addaudithook(_audit)  # cannot be taken out again; it does nothing in other threads
    _installed.append(_audit)


def _module(module: Any, inputs: tuple[Any, ...]) -> None:
    _pass("module", type(module).__name__, lambda: _break_backward(inputs))


def _optimizer(optimizer: Any, *_: Any) -> None:
    _pass("optimizer", type(optimizer).__name__)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _FILES and not str(arguments[0]).endswith(_CODE):
        _pass("file", f"{event} {arguments[0]}")


def _pass(kind: str, what: str, backward: Callable[[], None] | None = None) -> None:
    """Counts a point; breaks when it is the one and the wished fault can happen there, else at the next that can."""
    if not threading.current_thread().name.startswith(THREAD) or getattr(_busy, "now", False):
        return
    with _lock:
        points = _points
        points.passed += 1
        points.kinds[kind] += 1
        due = 0 < points.at <= points.passed and not points.hit
        if not due or (points.kind == "disk" and kind != "file"):
            return
        if points.kind == "backward":
            if backward is not None:
                backward()
            return
        points.hit = f"{points.kind} at {points.passed}: {what}"
    _break(points)


def _break(points: Points) -> None:
    import torch

    if points.kind == "stop":
        _busy.now = True
        try:
            request = urllib.request.Request(points.stop_url, b"{}", {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=60).read()
        finally:
            _busy.now = False
    elif points.kind == "memory":
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. (injected by the probe)")
    elif points.kind == "disk":
        raise OSError(errno.ENOSPC, "No space left on device (injected by the probe)")
    else:
        raise Injected(f"injected by the probe ({points.hit})")


def _break_backward(inputs: tuple[Any, ...]) -> None:
    """Lets the backward pass of a module's input raise, where there will be one.

    Inside a checkpointed block there is none: its activations are computed anew. So every later module is tried as
    well until one has raised.
    """
    import torch

    for tensor in inputs:
        if isinstance(tensor, torch.Tensor) and tensor.requires_grad and torch.is_grad_enabled():
            tensor.register_hook(_raise)
            return


def _raise(gradient: Any) -> None:
    with _lock:
        if _points.hit or not _points.at:
            return
        _points.hit = f"{_points.kind} at {_points.passed}: a gradient of {tuple(gradient.shape)}"
    raise Injected("injected by the probe (in the backward pass)")
