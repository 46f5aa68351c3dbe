"""Which build of torch fits this machine, and where pip may find it.

torch comes as one version in several builds: for the CPU, and for CUDA 12.6 and 13.0. PyPI offers the CPU build on
Windows and macOS and a CUDA build of 3 GB on Linux, whatever card there is; PyTorch's own index has them all.
"""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

from lib_trainer.installation.processes import PINS, Stop, answer, clean_environment, explained, pip_install, say

INDEX = "https://download.pytorch.org/whl"


def pin() -> str:
    """Returns the pin, `torch==X.Y.Z`."""
    return (PINS / "torch.txt").read_text(encoding="utf-8").strip()


def fitting() -> str:
    """Returns the build for this machine by PyTorch's own name: `cpu`, `cu126` or `cu130`."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "cpu"
    build = build_for(answer([program, "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]))
    if build is None:
        say("The NVIDIA driver is too old for this torch, so the CPU is used. Update the driver and start again.")
    return build or "cpu"


def build_for(cards: str) -> str | None:
    """Returns the build for nvidia-smi's lines `driver version, compute capability`; None when the driver is too old.

    CUDA 13 needs driver 580 and Turing (7.5) or newer; the build for CUDA 12.6 needs driver 525 and covers the cards
    from Maxwell (5.0) to Hopper (9.0). No card at all means the CPU.
    """
    rows = re.findall(r"^\s*(\d+)[.\d]*\s*,\s*(\d+\.\d+)\s*$", cards, re.MULTILINE)
    if not rows:
        return "cpu"
    driver, capability = int(rows[0][0]), max(float(row[1]) for row in rows)
    if driver >= 580 and capability >= 7.5:
        return "cu130"
    return "cu126" if driver >= 525 and 5.0 <= capability < 10 else None


def attempts(build: str, system: str) -> list[list[str]]:
    """Returns pip's arguments to try one after the other on `system` (`platform.system()`'s name).

    For a CPU, what pip is configured to find comes first (a prepared wheel, a company's index), then PyTorch's own
    index. For a card it is the other way round, as a prepared CPU wheel would hide the CUDA build. The bare pin is
    the last resort: on Linux PyPI's CUDA build, which also runs on a CPU.
    """
    from_pytorch = [f"{pin()}+{build}", "--index-url", f"{INDEX}/{build}", "--retries", "2"]
    if build != "cpu":
        return [from_pytorch, [pin()]]
    return [[f"{pin()}+cpu"], from_pytorch, [pin()]] if system == "Linux" else [[pin()]]


def install(python: Path, build: str) -> None:
    """Installs the build; tells the person when only another one was to be had.

    Raises:
        Stop: none of the attempts succeeded.
    """
    complaint = ""
    for arguments in attempts(build, platform.system()):
        if arguments == [pin()] and complaint:
            say(f"The build '{build}' is not to be had from here; taking what pip finds as {pin()} ...")
        complaint = pip_install(python, arguments, clean_environment())
        if not complaint:
            break
    if complaint:
        raise Stop(explained(complaint, f"installing {pin()}"))
    if build != "cpu" and answer([str(python), "-c", "import torch; print(torch.version.cuda)"]) == "None":
        say(
            "An NVIDIA card is there, but only a CPU build of torch could be installed: training will be slow. "
            f"When {INDEX} can be reached, delete the folder .venv and start again."
        )
