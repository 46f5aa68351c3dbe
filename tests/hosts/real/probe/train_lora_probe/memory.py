"""Memory of the process as the kernel counts it, in MiB (Linux)."""
from __future__ import annotations

import gc
import re
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def read() -> dict[str, float]:
    """Returns `now` and `peak` since the start or the last `reset`."""
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE))
    return {"now": int(found["VmRSS"]) / 1024, "peak": int(found["VmHWM"]) / 1024}


def reset() -> dict[str, float]:
    """Collects garbage, sets the peak to what is in use now and returns both."""
    gc.collect()
    _CLEAR.write_text(_RESET_PEAK)
    return read()
