"""What the command line's exit codes mean."""
from __future__ import annotations

DONE = 0
MISTAKE = 1
"""The person's: one sentence on stderr."""
BUG = 2
"""Ours: a traceback."""
INTERRUPTED = 130
"""An operation of the workbench was interrupted."""
