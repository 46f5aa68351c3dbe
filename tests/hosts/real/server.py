"""A real WebUI as a process of its own: folder, flags, start, requests, log, end.

Each server gets a data folder of its own (models by link, settings, extensions, outputs), so nothing of the person's
installation is written to, and several servers can run side by side. The extension under test is cloned into
`extensions/` as a person would do it, and its `install.py` is run as the host's launcher runs it.
"""
from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
SOURCE = os.environ.get("TRAIN_LORA_SOURCE", str(ROOT))
"""What is cloned: this checkout, or the address of another one."""
PROBE = Path(__file__).parent / "probe"
EXTENSION = "train-lora"
START_SECONDS = 600
FLAGS = {
    "a1111": ("--use-cpu", "all"),
    "forge": ("--always-cpu", "--skip-google-blockly"),
    "reforge": ("--always-cpu",),
}
COMMON_FLAGS = (
    "--skip-prepare-environment", "--skip-torch-cuda-test", "--skip-python-version-check", "--skip-version-check",
    "--no-download-sd-model", "--do-not-download-clip", "--disable-console-progressbars", "--api",
)
FULL_PRECISION = ("--no-half", "--precision", "full")
SETTINGS = {"show_progress_type": "Approx cheap", "samples_format": "png"}
"""The default live preview wants a download on some hosts."""

_BAR = re.compile(r"\d+%\|")


class HostFailed(AssertionError):
    """The host did not start, or answered a request with an error."""


@dataclass(frozen=True)
class Program:
    """An installed WebUI.

    Attributes:
        kind: "a1111", "forge" or "reforge".
        folder: where its `launch.py` lies.
        python: the interpreter of its environment.
        models: a folder of checkpoints it can load.
        flags: precision and other flags that the person wants to see it under.
    """

    kind: str
    folder: Path
    python: Path
    models: Path
    flags: tuple[str, ...] = FULL_PRECISION

    def checkpoints(self) -> list[str]:
        """File names of the SD 1.x-sized checkpoints first, then the others."""
        names = sorted(path.name for path in self.models.rglob("*.safetensors"))
        return sorted(names, key=lambda name: "xl" in name.lower())

    def commit(self) -> str:
        done = subprocess.run(["git", "-C", str(self.folder), "rev-parse", "HEAD"], capture_output=True, text=True)
        return done.stdout.strip() or "unknown"


@dataclass
class Server:
    """A started WebUI.

    Attributes:
        program: what was started. home: its data folder. url: its address without a slash at the end.
        process: the process. started_after: seconds from the start of the process to the first answer.
    """

    program: Program
    home: Path
    url: str
    process: subprocess.Popen[bytes]
    started_after: float = 0.0

    @property
    def loras(self) -> Path:
        return self.home / "models" / "Lora"

    @property
    def log(self) -> str:
        """All the host has printed, but for its progress bars."""
        lines = (self.home / "host.log").read_text(encoding="utf8", errors="replace").splitlines()
        return "\n".join(line for line in lines if not _BAR.search(line))

    def get(self, route: str, timeout: float = 600) -> Any:
        return self._ask(route, None, timeout)

    def post(self, route: str, values: Mapping[str, Any] | None = None, timeout: float = 600) -> Any:
        return self._ask(route, dict(values or {}), timeout)

    def _ask(self, route: str, values: dict[str, Any] | None, timeout: float) -> Any:
        data = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self.url + route, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise HostFailed(f"{route}: {error.code} {error.read().decode(errors='replace')[:2000]}") from None
        except OSError as error:
            raise HostFailed(f"{route}: {error}\n{self.log[-4000:]}") from None

    def draw(self, prompt: str, **values: Any) -> Image.Image:
        """Draws one picture through /sdapi/v1/txt2img."""
        return self.drawn(prompt, **values)[0]

    def drawn(self, prompt: str, **values: Any) -> tuple[Image.Image, dict[str, Any]]:
        """Draws one picture; returns it with the answer's `info`."""
        asked = {"prompt": prompt, "seed": 7, "steps": 4, "width": 64, "height": 64, "cfg_scale": 5,
                 "sampler_name": "Euler", **values}
        answer = self.post("/sdapi/v1/txt2img", asked)
        picture = Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))).convert("RGB")
        return picture, json.loads(answer["info"])

    def choose(self, checkpoint: str) -> None:
        """Makes the host load a checkpoint, as choosing it at the top of the page does."""
        self.post("/sdapi/v1/options", {"sd_model_checkpoint": checkpoint})

    def kill(self) -> None:
        """Ends the host and what it has started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)


def prepare(program: Program, home: Path, extensions: Sequence[Path] = (), ours: bool = True,
            settings: Mapping[str, Any] | None = None) -> float:
    """Makes a data folder: settings, the probe, our extension as a clone, other extensions by copy.

    Returns:
        Seconds that cloning our extension and its `install.py` took (0.0 without it).
    """
    for folder in ("models/Lora", "models/Stable-diffusion", "extensions", "embeddings", "outputs"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for file in program.models.iterdir():
        (home / "models" / "Stable-diffusion" / file.name).symlink_to(file)
    chosen = {"sd_model_checkpoint": program.checkpoints()[0], **SETTINGS, **(settings or {})}
    (home / "config.json").write_text(json.dumps(chosen), encoding="utf8")
    for source in (PROBE, *extensions):
        shutil.copytree(source, home / "extensions" / source.name, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("__pycache__", ".git"))
    return install(program, home / "extensions" / EXTENSION) if ours else 0.0


def install(program: Program, place: Path) -> float:
    """Clones the extension and runs its installer as the host's launcher does."""
    begin = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", SOURCE, str(place)], check=True)
    done = subprocess.run(
        [str(program.python), str(place / "install.py")], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(program.folder)})
    if done.returncode:
        raise HostFailed(f"install.py ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - begin


@contextmanager
def started(
    program: Program, home: Path, flags: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Starts the host on a free port, waits until its API answers, ends it on the way out."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(program.python), "launch.py", *COMMON_FLAGS, *FLAGS[program.kind], *program.flags, *flags,
               "--port", str(port), "--data-dir", str(home),
               "--gradio-allowed-path", str(program.folder)]  # Forge's page loads its own scripts from there
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONUNBUFFERED": "1",
                 "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "GRADIO_ANALYTICS_ENABLED": "False",
                 "PYTHONDONTWRITEBYTECODE": "",  # as a person has it: only the first start compiles
                 **(environment or {})}
    with (home / "host.log").open("wb") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=program.folder, stdout=log, stderr=subprocess.STDOUT, env=variables,
                                   start_new_session=True)
    server = Server(program, home, f"http://127.0.0.1:{port}", process)
    try:
        _wait(server)
        server.started_after = time.perf_counter() - begin
        yield server
    finally:
        server.kill()


def _wait(server: Server) -> None:
    """Waits until the host says that it is up, then until the model is loaded.

    A request that arrives between "Running on local URL" and the mounting of the API ends reForge's web server.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise HostFailed(f"The host ended with {server.process.returncode}:\n{server.log[-6000:]}")
        if "Startup time:" in server.log and server.get("/probe/ready")["ready"]:
            return
        time.sleep(0.5)
    raise HostFailed(f"The host did not answer within {START_SECONDS} s:\n{server.log[-6000:]}")


def versions(program: Program) -> dict[str, str]:
    """Versions of what matters in the host's environment."""
    names = ["torch", "gradio", "transformers", "diffusers", "fastapi", "pydantic", "numpy", "safetensors"]
    code = ("import importlib.metadata as m, json, platform\n"
            "found = {'python': platform.python_version()}\n"
            f"for name in {names!r}:\n"
            "    try: found[name] = m.version(name)\n"
            "    except m.PackageNotFoundError: pass\n"
            "print(json.dumps(found))")
    done = subprocess.run([str(program.python), "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def startup_seconds(log: str) -> dict[str, float]:
    """The host's own line `Startup time: 12.3s (import torch: 4.5s, ...)` as a table; "total" is the sum."""
    found = re.findall(r"Startup time: ([\d.]+)s(?: \((.*)\))?", log)
    if not found:
        raise HostFailed("The host printed no 'Startup time'.")
    total, parts = found[-1]
    table = {name.strip(): float(seconds) for name, seconds in re.findall(r"([^:,]+): ([\d.]+)s", parts)}
    return {"total": float(total), **table}
