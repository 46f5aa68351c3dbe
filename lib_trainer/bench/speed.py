"""What training and switching presets cost, on whatever checkpoint is loaded.

Machines differ and so does one machine from minute to minute, so what is compared (all blocks against OUT03-OUT06) is
measured in turns within one run and given as a ratio of medians.
"""
from __future__ import annotations

import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lib_trainer.bench.short_run import Report, short_run
from lib_trainer.bench.teach import DATASET, demo_config
from lib_trainer.txt2img_host import GenerateRequest, Txt2ImgHost

if TYPE_CHECKING:
    from lib_trainer.jobs import Jobs

SOME_BLOCKS = "OUT03-OUT06"
"""The selection whose step must cost at most 0.75 of a step with all blocks."""


@dataclass(frozen=True)
class Speed:
    """What was measured; all times in seconds.

    Attributes:
        first_step: from Start to the first finished step, model already loaded.
        step_all, step_some: median step with all blocks and with OUT03-OUT06.
        ratio: step_some / step_all.
        cached_per_second: pictures encoded a second while caching latents.
        switch_preset: what changing the preset of a loaded LoRA adds to a generation.
        peak_memory: most memory the process ever had, MiB.
    """

    first_step: float
    step_all: float
    step_some: float
    ratio: float
    cached_per_second: float
    switch_preset: float
    peak_memory: float

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return asdict(self)


def speed(host: Txt2ImgHost, jobs: Jobs, report: Report, steps: int = 20, rounds: int = 3, **changes: Any) -> Speed:
    """Measures on the loaded checkpoint with the sample dataset; leaves its LoRAs in the host's folder.

    Args:
        host: the host.
        jobs: its jobs.
        report: told what is being measured.
        steps: steps of each short training.
        rounds: how often all blocks and some blocks take turns.
        changes: settings that differ from the "demo" goal.
    """
    firsts: list[float] = []
    cached: list[float] = []
    times: dict[str, list[float]] = {"": [], SOME_BLOCKS: []}
    base = replace(
        demo_config("bench-speed", DATASET, **changes),
        steps=steps, train_text_encoder=False, save_every_steps=0, preview_every_steps=0,
    )
    for turn in range(rounds):
        for blocks, seconds in times.items():
            run = short_run(jobs, replace(base, name=f"bench-speed-{turn}-{len(blocks)}", blocks=blocks))
            firsts.append(run.first)
            cached.append(run.cached_per_second)
            seconds.extend(run.steps)
            report(f"round {turn + 1}, {blocks or 'all blocks'}: {statistics.median(run.steps):.3f} s a step")
    step_all, step_some = statistics.median(times[""]), statistics.median(times[SOME_BLOCKS])
    return Speed(
        first_step=statistics.median(firsts), step_all=step_all, step_some=step_some, ratio=step_some / step_all,
        cached_per_second=statistics.median(cached), switch_preset=_switching(host, report), peak_memory=peak_memory(),
    )


def _switching(host: Txt2ImgHost, report: Report) -> float:
    """Returns the seconds that a new preset adds to a one-step picture."""
    name = host.loras()[0]
    report(f"switching presets of {name}")
    size = host.checkpoint().resolution

    def draw(preset: str) -> float:
        begin = time.perf_counter()
        prompt = f"1girl <lora:{name}:1:{preset}>"
        host.generate(GenerateRequest(prompt=prompt, seed=1, steps=1, width=size, height=size))
        return time.perf_counter() - begin

    draw("ALL")
    same, switched = [], []
    for _ in range(5):
        draw("ALL")
        same.append(draw("ALL"))
        switched.append(draw("OUTD"))
    return max(0.0, statistics.median(switched) - statistics.median(same))


def peak_memory() -> float:
    """Returns the most memory this process has had so far, MiB."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
