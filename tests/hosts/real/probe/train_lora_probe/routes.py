"""The probe's routes under /probe; JSON in, JSON out."""
from __future__ import annotations

import os
import sys
import threading
from typing import Any

from fastapi import Body

from train_lora_probe import costs, draws, faults, memory, model, steps, traintrain

_BODY = Body(...)
_OURS = ("lib_trainer", "pytorch_optimizer")


def add(_: Any, app: Any) -> None:
    """Called by the host when its web server is up."""
    get, post = app.get, app.post

    @get("/probe/ready")
    def ready() -> dict[str, Any]:
        return {"ready": _ready(), "pid": os.getpid()}

    @get("/probe/tensors")
    def tensors(bytes_too: bool = True) -> dict[str, Any]:
        return model.tensors(bytes_too)

    @get("/probe/modules")
    def modules() -> dict[str, Any]:
        return model.modules()

    @get("/probe/generators")
    def generators() -> dict[str, str]:
        return model.generators()

    @get("/probe/memory")
    def memory_now() -> dict[str, float]:
        return memory.read()

    @post("/probe/memory/reset")
    def memory_reset() -> dict[str, float]:
        return memory.reset()

    @get("/probe/draws")
    def drawn() -> list[dict[str, Any]]:
        return draws.taken()

    @post("/probe/steps")
    def begin_steps() -> float:
        return steps.begin()

    @get("/probe/steps")
    def step_times() -> list[float]:
        return steps.taken()

    @post("/probe/traintrain")
    def start_traintrain(body: dict[str, Any] = _BODY) -> None:
        traintrain.start(body["settings"], body["model"])

    @get("/probe/traintrain")
    def traintrain_state() -> dict[str, Any]:
        return traintrain.state()

    @post("/probe/faults")
    def arm(at: int = 0, kind: str = "error", stop_url: str = "") -> dict[str, Any]:
        faults.arm(at, kind, stop_url)
        return faults.state()

    @get("/probe/faults")
    def state() -> dict[str, Any]:
        return faults.state()

    @get("/probe/process")
    def process() -> dict[str, Any]:
        """Threads by name, the extensions' part of sys.path, and whether heavy packages of ours are imported."""
        return {
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "path": [entry for entry in sys.path if "extensions" in entry.split(os.sep)],
            "imported": sorted(name for name in sys.modules if name.split(".")[0] in _OURS),
            "cpu": sum(os.times()[:2]), "spent": costs.spent(),
        }


def _ready() -> bool:
    """Whether the host has loaded its first checkpoint; Forge loads it with the first picture and says a stand-in."""
    from modules import shared

    return getattr(shared, "sd_model", None) is not None
