"""`python -m lib_trainer`: runs the command line, and exits with 2 where a bug of ours ends it."""
from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

from lib_trainer.cli.main import main


def _exit_as_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints the traceback and ends with exit code 2 (Python's own 1 stands for the person's mistakes here)."""
    traceback.print_exception(kind, error, trace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130 if issubclass(kind, KeyboardInterrupt) else 2)


if __name__ == "__main__":
    sys.excepthook = _exit_as_bug
    sys.exit(main(sys.argv[1:]))
