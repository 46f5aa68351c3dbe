"""When optimisers stepped, in seconds since 1970, whoever's they are: one clock for every trainer in the process."""
from __future__ import annotations

import time
from typing import Any

_times: list[float] = []
_installed: list[Any] = []


def begin() -> float:
    """Forgets what was noted and notes from now on; returns now."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    if not _installed:
        _installed.append(register_optimizer_step_post_hook(_note))
    _times.clear()
    return time.time()


def _note(*_: Any) -> None:
    _times.append(time.time())


def taken() -> list[float]:
    return list(_times)
