"""Run by a WebUI: add what its environment lacks, change nothing that it has.

Other extensions share that environment, and a changed numpy or pydantic breaks them all. So a package that is there in
any version is left alone, and pip gets the version of every installed package as a constraint: it can then only add.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path

from lib_trainer.installation.processes import PINS, last_line, pip_install, say


def folder() -> Path | None:
    """Returns the folder of the WebUI that runs install.py (it puts itself on the module path), or None."""
    launch = importlib.util.find_spec("launch")
    found = Path(launch.origin).parent if launch and launch.origin else None
    return found if found and (found / "modules" / "launch_utils.py").is_file() else None


def add_missing() -> None:
    """Installs what is missing; when that is impossible says so, and the tab lives with torch's own optimisers."""
    installed = installed_versions()
    missing = missing_pins((PINS / "webui.txt").read_text(encoding="utf-8"), installed)
    if not missing:
        return
    names = ", ".join(missing)
    say(f"Train LoRA: installing {names}")
    with tempfile.TemporaryDirectory() as scratch:
        constraints = Path(scratch) / "installed.txt"
        constraints.write_text(constraints_text(installed), encoding="utf-8")
        # INDEX_URL is how AUTOMATIC1111 and its forks are told of another package index.
        index = ["--index-url", os.environ["INDEX_URL"]] if os.environ.get("INDEX_URL") else []
        # A WebUI without network must not wait long for this at every start.
        patience = ["--retries", "1", "--timeout", "15"]
        complaint = pip_install(sys.executable, [*missing, "--constraint", str(constraints), *index, *patience])
    if complaint:
        conflict = "ResolutionImpossible" in complaint
        reason = "it wants other versions of them" if conflict else last_line(complaint)
        say(
            f"Train LoRA: {names} could not be added beside the WebUI's own packages ({reason}). Nothing was changed, "
            "and the tab works with torch's own optimisers."
        )


def installed_versions() -> dict[str, str]:
    """Returns every installed package, its name as the index compares it -> its version."""
    packages = ((package.metadata["Name"], package.version) for package in importlib.metadata.distributions())
    return {normal(name): version for name, version in packages if name and version}


def missing_pins(pins: str, installed: dict[str, str], version: tuple[int, ...] = sys.version_info[:2]) -> list[str]:
    """Returns the pins whose package is not installed in any version; `version` is Python's (major, minor).

    The lines are read here, and not by pip, as starting pip would slow down every start of the WebUI. The only marker
    in use is `python_version < "3.11"`.
    """
    missing = []
    for line in pins.splitlines():
        pin, _, marker = line.split("#")[0].partition(";")
        if pin.strip() and normal(pin.split("==")[0]) not in installed and (not marker.strip() or version < (3, 11)):
            missing.append(pin.strip())
    return missing


def constraints_text(installed: dict[str, str]) -> str:
    """Returns a constraints file that ties pip to what is installed; versions that pip cannot read are left out."""
    readable = {name: version for name, version in installed.items() if re.fullmatch(r"\d[\w.!+-]*", version)}
    return "".join(f"{name}=={version}\n" for name, version in sorted(readable.items()))


def normal(name: str) -> str:
    """Returns a package name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
