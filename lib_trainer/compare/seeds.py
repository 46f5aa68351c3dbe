"""Seeds that a person leaves to chance."""
from __future__ import annotations

import secrets

from lib_trainer.compare.axes import MAX_SEED


def rolled() -> int:
    """Returns a random seed of the system's; no generator of the process is read."""
    return secrets.randbelow(MAX_SEED)
