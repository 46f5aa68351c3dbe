"""What a comparison will cost, told before it starts, and how far it is."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Measurements to make and how long one took here.

    Attributes:
        count: measurements (predictions or pictures).
        each: seconds of one, as measured; 0 = not known yet.
    """

    count: int
    each: float = 0.0

    @property
    def seconds(self) -> float:
        """All of them together; 0 = not known yet."""
        return self.count * self.each


@dataclass(frozen=True)
class Progress:
    """How far an analysis is.

    Attributes:
        done: measurements made. total: all, as far as known. what: what was measured last.
        left: seconds, by the measured ones; 0 = not known.
    """

    done: int
    total: int
    what: str
    left: float = 0.0


def duration(seconds: float) -> str:
    """Writes a duration as people say it: "0.4 s", "35 s", "4 min 5 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
