"""Sets the project up and starts it; needs nothing but Python's standard library.

It has three callers. A person without a WebUI says `python install.py run` or `python install.py test`: an environment
of the project's own is made in `.venv` from the pins in `requirements/`, then the page or the tests start in it. A
WebUI runs this file at every start of its own: then only packages that its environment lacks are added, and none that
it has is changed. The work itself is in `lib_trainer/installation/`.
"""

from __future__ import annotations

import os
import shutil
import sys

from lib_trainer.installation import environment, webui
from lib_trainer.installation.processes import ROOT, Stop, answer, clean_environment, run

# Prepared CPU wheels of torch are most often made for 3.11, so it is looked for first.
PYTHONS = ("3.11", "3.12", "3.10")

# The whole suite on several cores; tests that share something stay together (tests/conftest.py).
ALL_TESTS = ["--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadgroup"]

USAGE = """Train LoRA + Block Weight

  python install.py run  [--model FILE] [--port N] [--listen] [--models-dir DIR] [--loras-dir DIR] [--outputs-dir DIR]
      sets up .venv if needed and opens the page (http://127.0.0.1:7860, or the next free port)
  python install.py test [any pytest arguments]
      sets up .venv if needed and runs the tests

In AUTOMATIC1111, Forge or reForge nothing has to be typed: put this folder into extensions/ and start the WebUI.
"""


def main(arguments: list[str]) -> int:
    """Does what the command line asks and returns the exit code: the program's own, 1 after a fault, 2 after usage."""
    try:
        if not arguments and webui.folder() is not None:
            webui.add_missing()
            return 0
        if {"-h", "--help"} & set(arguments[:2]):
            print(USAGE)
            return 0
        if not arguments or arguments[0] not in ("run", "test"):
            print(USAGE)
            return 2
        other = other_python(sys.version_info[:2])
        if other is not None:
            return run([*other, str(ROOT / "install.py"), *arguments])
        environment.set_up(with_tests=arguments[0] == "test")
        return start(arguments[0], arguments[1:])
    except Stop as fault:
        print(f"\n{fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next start goes on from here.", file=sys.stderr)
        return 130


def other_python(version: tuple[int, ...]) -> list[str] | None:
    """Returns None when `version` (major, minor) will do, else the command of a Python on this machine that will.

    Raises:
        Stop: no supported Python was found.
    """
    named = ".".join(map(str, version))
    if named in PYTHONS:
        return None
    asks_version = ["-c", "import sys; print(*sys.version_info[:2], sep='.')"]
    for wanted in PYTHONS:
        for command in ([["py", f"-{wanted}"]] if os.name == "nt" else []) + [[f"python{wanted}"]]:
            # A name on the PATH may be a shim that only prints an error: it counts when it answers.
            if shutil.which(command[0]) and answer([*command, *asks_version]) == wanted:
                return command
    raise Stop(
        f"Python {named} ('{sys.executable}') cannot run this, and neither Python 3.11, 3.12 nor 3.10 was found on the "
        "PATH. Install Python 3.11 and start again with it, for instance: python3.11 install.py run"
    )


def start(command: str, arguments: list[str]) -> int:
    """Starts the page or the tests in `.venv` and returns their exit code.

    The page keeps the folder the person stands in, so that `--model` may be given relative to it.
    """
    if command == "run":
        module, folder = ["lib_trainer", "serve"], None
    else:
        module, folder, arguments = ["pytest"], ROOT, arguments or ALL_TESTS
    program = [str(environment.VENV_PYTHON), "-m", *module, *arguments]
    return run(program, folder, {**clean_environment(), "PYTHONPATH": str(ROOT)})


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
