"""Programs that the set-up runs (pip above all), and the sentence for each way they are known to fail.

pip's progress goes straight to the terminal; its complaints are held back, because most of them are about a place that
was only tried, and because a person is helped by what to do, not by forty red lines.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements"

# A pattern in what pip or venv printed -> the sentence a person can act on. The first that fits is told.
REMEDIES = (
    (
        r"No space left|Errno 28|WinError 112|not enough space",
        "The disk is full: {free:.1f} GB are free at '{root}'. Free some space and start again; what is there is kept.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index could not be trusted: a certificate problem, often a company's proxy or a wrong clock. "
        "Set the clock, or name the certificate to pip (pip config set global.cert FILE), and start again.",
    ),
    (
        r"name resolution|getaddrinfo|NewConnectionError|NameResolutionError|Max retries|unreachable|timed out"
        r"|ProxyError|ConnectionReset|IncompleteRead|Connection broken",
        "The package index could not be reached. The first start needs the internet: check the connection (or pip's "
        "proxy setting) and start again; what was downloaded is kept.",
    ),
    (
        r"Permission denied|WinError 5\b|WinError 32\b|Access is denied",
        "A file in '{root}' could not be written. Close a page that still runs from there, check the permissions of "
        "the folder, and start again.",
    ),
    (
        r"No matching distribution",
        "There is no ready-made package for Python {python} on {system} ({machine}). Use a 64-bit Python 3.11 on "
        "Linux, Windows or macOS (Apple silicon) and start again.",
    ),
)


class Stop(Exception):
    """The set-up cannot go on; the text tells the person what, where, and what to do."""


def pip_install(python: str | Path, arguments: list[str], environment: dict[str, str] | None = None) -> str:
    """Runs `pip install` and returns what it complained about, or an empty string when it succeeded.

    Only ready-made wheels are taken: nobody should need a compiler.
    """
    options = ["--disable-pip-version-check", "--no-input", "--only-binary", ":all:"]
    done = subprocess.run(
        [str(python), "-m", "pip", "install", *options, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    )
    return "" if done.returncode == 0 else (done.stderr.strip() or f"pip ended with exit code {done.returncode}")


def explained(complaint: str, what: str) -> str:
    """Returns the sentence for `complaint`, pip's or venv's own last line beneath; `what` could not be done."""
    last = last_line(complaint)
    for pattern, text in REMEDIES:
        if re.search(pattern, complaint, re.IGNORECASE):
            facts = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
            free = shutil.disk_usage(ROOT).free / 1e9
            return f"{text.format(root=ROOT, free=free, **facts)}\n({what}: {last})"
    return f"{what} failed: {last}"


def last_line(text: str) -> str:
    """Returns the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was given")


def clean_environment() -> dict[str, str]:
    """Returns the environment variables without what would let another Python's packages in."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET")}
    return {**kept, "PIP_USER": "0", "PYTHONNOUSERSITE": "1"}


def run(command: list[str], folder: Path | None = None, environment: dict[str, str] | None = None) -> int:
    """Runs a program in the foreground and returns its exit code; Ctrl+C is the program's own to answer."""
    process = subprocess.Popen(command, cwd=folder, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def answer(command: list[str]) -> str:
    """Returns what a program prints, or an empty string when it cannot run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def say(text: str) -> None:
    """Prints a line of progress at once, in order with pip's own lines."""
    print(text, flush=True)
