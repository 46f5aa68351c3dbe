"""When the host began and ended to draw, in seconds since 1970."""
from __future__ import annotations

import time

_times: list[dict[str, float]] = []


def began() -> None:
    _times.append({"began": time.time()})


def ended() -> None:
    if _times:
        _times[-1]["ended"] = time.time()


def taken() -> list[dict[str, float]]:
    """Returns what was noted since the last call."""
    noted = list(_times)
    _times.clear()
    return noted
