"""One short training, and what it took."""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.training.events import Cached, Failed, Stepped

if TYPE_CHECKING:
    from lib_trainer.jobs import Jobs
    from lib_trainer.training.config import TrainConfig

Report = Callable[[str], None]


@dataclass(frozen=True)
class ShortRun:
    """What a short training took, in seconds.

    Attributes:
        first: from the start to the end of the first step.
        steps: the settled steps: the first ones allocate and warm up, and belong to the time to the first step.
        processor: seconds of all processors that the settled steps took: other programs of the machine change them
            less than the clock's.
        cached_per_second: pictures encoded a second while caching latents; 0 = nothing was cached, or not known.
    """

    first: float
    steps: list[float]
    processor: list[float]
    cached_per_second: float = 0.0

    @classmethod
    def of(cls, begin: float, ends: Sequence[tuple[float, float]], cached_per_second: float = 0.0) -> ShortRun:
        """Returns the figures of a run.

        Args:
            begin: when it began. ends: when each step ended, by the same clock, and the processor's seconds till then.
            cached_per_second: see above.
        """
        settled = list(itertools.pairwise(ends[2:]))
        return cls(ends[0][0] - begin, [b[0] - a[0] for a, b in settled], [b[1] - a[1] for a, b in settled],
                   cached_per_second)


def short_run(jobs: Jobs, config: TrainConfig) -> ShortRun:
    """Trains and measures.

    Raises:
        UserError: the training failed.
    """
    begin = time.time()
    job = jobs.start(config)
    ends: list[tuple[float, float]] = []
    rate, number = 0.0, 0
    while job.running or job.events(number):
        for event in job.wait_events(number, timeout=1.0):
            number = event["number"]
            if event["kind"] == Failed.__name__:
                raise UserError(f"The training of {config.name} failed: {event['message']}")
            if event["kind"] == Stepped.__name__:
                ends.append((event["time"], time.process_time()))
            if event["kind"] == Cached.__name__ and event["what"] == "latents":
                rate = event["rate"]
    return ShortRun.of(begin, ends, rate)
