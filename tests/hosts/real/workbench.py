"""Operations of the LoRA workbench through the REST routes of a real host: start, wait, outcome."""
from __future__ import annotations

import time
from typing import Any

from tests.hosts.real.server import HostFailed, Server
from tests.hosts.real.training import PATIENCE, PREFIX


def made(host: Server, operation: str, **values: Any) -> dict[str, Any]:
    """Carries out an operation; returns its outcome.

    Raises:
        HostFailed: the values were refused, it failed, or it did not end.
    """
    number = host.post(f"{PREFIX}/workbench/start/{operation}", values)["number"]
    end = time.monotonic() + PATIENCE
    while (task := host.get(f"{PREFIX}/workbench/{number}"))["state"] == "running":
        if time.monotonic() > end:
            raise HostFailed(f"'{operation}' did not end within {PATIENCE} s: {task}")
        time.sleep(0.05)
    if task["state"] != "done":
        raise HostFailed(f"'{operation}' ended so: {task}")
    outcome: dict[str, Any] = task["outcome"]
    return outcome


def source(lora: str, strength: float = 1.0, weights: str = "") -> dict[str, Any]:
    """A line of the operations that take several LoRAs."""
    return {"lora": lora, "strength": strength, "weights": weights}
