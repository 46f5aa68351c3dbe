"""The environment of our own, `.venv`: what it must hold, what it holds, and how to get from one to the other.

It is made of parts: the environment itself, the packages of the page, torch, the test tools. Each part has a key (a
hash of its pins, the Python version, the build of torch), and `.venv/installed.json` notes the keys of the parts that
are done, one after the other. So an interrupted set-up goes on where it stopped, a changed pin brings only its part
up to date, and a start with nothing to do asks neither pip nor the network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys

from lib_trainer.installation import torch_build
from lib_trainer.installation.processes import PINS, ROOT, Stop, clean_environment, explained, pip_install, say

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed.json"
# Free gigabytes that unpacking an environment with each kind of torch takes (the CPU's is 1.7 when done).
SPACE_CPU, SPACE_CUDA = 2.5, 9.0


def set_up(with_tests: bool) -> None:
    """Brings `.venv` to the pins; does nothing when it is there already.

    Raises:
        Stop: no room, no network, no venv module, or pip failed.
    """
    done = read_stamp()
    wanted = wanted_parts(build_to_use(done), with_tests)
    missing = missing_parts(done, wanted) if VENV_PYTHON.exists() else list(wanted)
    for number, part in enumerate(missing, 1):
        say(f"[{number}/{len(missing)}] {describe(part, wanted)}")
        done = {} if part == "python" else done
        do_part(part, build=wanted["torch"].split(" ")[1])
        done[part] = wanted[part]
        STAMP.write_text(json.dumps(done, indent=1), encoding="utf-8")
    if missing:
        say("Everything is installed.")


def read_stamp() -> dict[str, str]:
    """Returns the parts that `.venv` is known to hold; none when it was never made or the note is unreadable."""
    try:
        noted = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def build_to_use(done: dict[str, str]) -> str:
    """Returns the build of torch to have: a CUDA build once chosen stays, the machine is asked otherwise.

    A card may not answer just now (a laptop on battery), and the CUDA build runs on the CPU as well.
    """
    pin, _, build = done.get("torch", "").partition(" ")
    return build if pin == torch_build.pin() and build.startswith("cu") else torch_build.fitting()


def wanted_parts(build: str, with_tests: bool) -> dict[str, str]:
    """Returns the parts in the order they are made, each with the key that says what is wanted of it."""
    parts = {"python": f"{python_version()} {platform.machine()}", "embedded": digest("embedded")}
    parts["torch"] = f"{torch_build.pin()} {build}"
    if with_tests:
        parts["dev"] = digest("dev")
    return parts


def missing_parts(done: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """Returns the parts still to be made, in order; another Python version means all of them."""
    if done.get("python") != wanted["python"]:
        return list(wanted)
    return [part for part, key in wanted.items() if done.get(part) != key]


def describe(part: str, wanted: dict[str, str]) -> str:
    """Returns the line of progress for one part."""
    torch, build = wanted["torch"].split(" ")
    size = "CPU build, about 200 MB" if build == "cpu" else f"CUDA build {build}, about 3 GB"
    return {
        "python": f"Making the environment {VENV} with Python {python_version()} ...",
        "embedded": "Installing the packages of the page, about 150 MB ...",
        "torch": f"Installing {torch} ({size}) ...",
        "dev": "Installing the test tools ...",
    }[part]


def do_part(part: str, build: str) -> None:
    """Makes one part.

    Raises:
        Stop: it could not be made.
    """
    if part == "python":
        require_space(SPACE_CPU if build == "cpu" else SPACE_CUDA)
        make_venv()
    elif part == "torch":
        torch_build.install(VENV_PYTHON, build)
    else:
        # The pins are complete, so pip need not look for what else they want.
        complaint = pip_install(VENV_PYTHON, ["--no-deps", "-r", str(PINS / f"{part}.txt")], clean_environment())
        if complaint:
            raise Stop(explained(complaint, f"installing requirements/{part}.txt"))


def make_venv() -> None:
    """Makes `.venv` anew; an older one, or what an interruption left of one, is cleared.

    Raises:
        Stop: this Python has no venv module, or the folder cannot be made.
    """
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        raise Stop(
            f"Python {python_version()} ('{sys.executable}') lacks the venv module, so '{VENV}' cannot be made. On "
            f"Debian and Ubuntu it comes with: sudo apt install python{python_version()}-venv. Then start again."
        )
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, errors="replace", env=clean_environment())
    if made.returncode:
        raise Stop(explained(f"{made.stdout}\n{made.stderr}", f"making '{VENV}'"))


def require_space(gigabytes: float) -> None:
    """Raises Stop when the disk cannot hold the environment, before anything is downloaded."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes:
        raise Stop(f"Only {free:.1f} GB are free at '{ROOT}'; {gigabytes} GB are needed. Free some and start again.")


def python_version() -> str:
    """Returns this Python's version as `3.11`."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def digest(name: str) -> str:
    """Returns the hash of a pins file, the same whatever line ends the checkout has."""
    return hashlib.sha256((PINS / f"{name}.txt").read_text(encoding="utf-8").encode()).hexdigest()
