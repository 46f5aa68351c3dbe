"""When the host began and ended to draw, in seconds since 1970, and what it told the person beside the picture."""
from __future__ import annotations

import time
from typing import Any

_times: list[dict[str, Any]] = []


def began() -> None:
    _times.append({"began": time.time()})


def ended(comments: str) -> None:
    if _times:
        _times[-1].update(ended=time.time(), comments=comments)


def taken() -> list[dict[str, Any]]:
    """Returns what was noted since the last call."""
    noted = list(_times)
    _times.clear()
    return noted
