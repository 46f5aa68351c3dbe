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
        cached_per_second: pictures encoded a second while caching latents; 0 = nothing was cached, or not known.
    """

    first: float
    steps: list[float]
    cached_per_second: float = 0.0

    @classmethod
    def of(cls, begin: float, ends: Sequence[float], cached_per_second: float = 0.0) -> ShortRun:
        """Returns the figures of a run that began at `begin` and whose steps ended at `ends`, on one clock."""
        return cls(ends[0] - begin, [b - a for a, b in itertools.pairwise(ends[2:])], cached_per_second)


def short_run(jobs: Jobs, config: TrainConfig) -> ShortRun:
    """Trains and measures.

    Raises:
        UserError: the training failed.
    """
    begin = time.time()
    job = jobs.start(config)
    job.wait()
    events = job.events()
    if events[-1]["kind"] == Failed.__name__:
        raise UserError(f"The training of {config.name} failed: {events[-1]['message']}")
    ends = [event["time"] for event in events if event["kind"] == Stepped.__name__]
    rates = [event["rate"] for event in events if event["kind"] == Cached.__name__ and event["what"] == "latents"]
    return ShortRun.of(begin, ends, rates[-1] if rates else 0.0)
