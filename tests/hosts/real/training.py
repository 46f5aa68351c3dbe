"""A training on a real host through its REST routes: start, events, buttons, end."""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hosts.real.server import HostFailed, Server

PREFIX = "/lora-trainer/v1"
PATIENCE = 600


@dataclass
class Training:
    """A started training and the events read so far.

    Attributes:
        server: where it runs. asked: when Start was asked for, seconds since 1970. events: in order.
    """

    server: Server
    asked: float
    events: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> bool:
        """Reads new events; returns whether the run is still going on."""
        after = self.events[-1]["number"] if self.events else 0
        answer = self.server.get(f"{PREFIX}/events?after={after}")
        self.events += answer["events"]
        return bool(answer["running"])

    def until(self, what: str, found: Callable[[], Any], pause: float = 0.05) -> Any:
        """Reads events until a condition holds; fails when the run ends before."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            running = self.read()
            if result := found():
                return result
            if not running:
                raise HostFailed(f"The run ended before {what}: {self.events[-1]}")
            time.sleep(pause)
        raise HostFailed(f"Waited {PATIENCE} s for {what}: {self.events[-1] if self.events else 'no event'}")

    def until_step(self, step: int) -> dict[str, Any]:
        """Waits for the event of a step and returns it."""
        found = self.until(f"step {step}", lambda: [e for e in self.of("Stepped") if e["step"] >= step])
        return dict(found[0])

    def end(self) -> dict[str, Any]:
        """Waits for the end and returns the last event."""
        end = time.monotonic() + PATIENCE
        while self.read():
            if time.monotonic() > end:
                raise HostFailed(f"The run did not end within {PATIENCE} s: {self.events[-1]}")
            time.sleep(0.1)
        self.read()
        return self.events[-1]

    def finished(self) -> Path:
        """Waits for the end, which must be a good one, and returns the file."""
        last = self.end()
        if last["kind"] != "Finished":
            raise HostFailed(f"{last}\n{self.server.log[-1200:]}")
        return Path(last["file"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]

    def press(self, button: str, **values: Any) -> dict[str, Any]:
        """Presses stop, pause, continue, save or sample."""
        answer: dict[str, Any] = self.server.post(f"{PREFIX}/{button}", values)
        return answer

    def turns(self) -> list[float]:
        """Seconds between two steps that nothing else came between, the longest last."""
        times = [event["time"] for event in self.of("Stepped")]
        return sorted(after - before for before, after in itertools.pairwise(times))


def start(server: Server, pictures: Path, name: str, **settings: Any) -> Training:
    """Starts a training with small settings."""
    values = {"name": name, "images": str(pictures), "repeats": 1, "epochs": 1, "rank": 4, "alpha": 2.0, "seed": 42,
              "learning_rate": "1e-3", "resolution": "64", "save_precision": "float", **settings}
    asked = time.time()
    server.post(f"{PREFIX}/start", values)
    return Training(server, asked)


def stop_any(server: Server) -> None:
    """Stops whatever training runs, without a file, and waits for its end."""
    run = Training(server, time.time())
    if run.read():
        run.press("stop", save=False)
        run.end()


def tensors(file: Path) -> dict[str, bytes]:
    """The tensors of a LoRA file as bytes."""
    from safetensors.torch import load_file

    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in load_file(file).items()}
