"""Which WebUI this process is: AUTOMATIC1111, or one of the two programs that grew out of it."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.hosts.webui.backend import Backend


def running() -> str:
    """Returns "a1111", "forge" or "reforge", by the packages that lie in the program's folder."""
    from modules.paths_internal import script_path

    program = Path(script_path)
    if (program / "ldm_patched").is_dir():
        return "reforge"
    return "forge" if (program / "backend").is_dir() else "a1111"


def backend() -> Backend:
    """Returns the backend of the program that runs; the model is not looked at."""
    name = running()
    if name == "reforge":
        from lib_trainer.hosts.reforge.backend import make
    elif name == "forge":
        from lib_trainer.hosts.forge.backend import make
    else:
        from lib_trainer.hosts.a1111.backend import make
    return make()
