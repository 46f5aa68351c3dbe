"""What a big data set costs before the first step and between the steps: time and memory of listing and planning it.

Pictures are small files of common sizes with captions of twenty tags, so that the numbers are those of our own work and
of the disk's directories, not of decoding.
"""
from __future__ import annotations

import io
import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from lib_trainer.bench.short_run import Report

T = TypeVar("T")

_SIZES = ((512, 768), (768, 512), (640, 640), (1024, 1536), (600, 800), (1920, 1080))
_PER_FOLDER = 1000


@dataclass(frozen=True)
class DataCosts:
    """What was measured.

    Attributes:
        pictures: how many there were. uses: of them in an epoch.
        scan: seconds to list them with sizes and captions. plan: seconds to plan all epochs.
        epoch: seconds to make every sample of one epoch (order, crop, caption).
        bytes_per_picture: memory that a listed and planned picture takes, its caption included.
    """

    pictures: int
    uses: int
    scan: float
    plan: float
    epoch: float
    bytes_per_picture: float

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return asdict(self)


def measure(folder: Path, pictures: int, report: Report) -> DataCosts:
    """Draws pictures into a folder, then lists and plans them.

    Args:
        folder: an empty one.
        pictures: how many.
        report: told what is being done.
    """
    from lib_trainer.data.buckets import Buckets
    from lib_trainer.data.captions.caption_rules import CaptionRules
    from lib_trainer.data.dataset import Dataset
    from lib_trainer.data.plan import Plan
    from lib_trainer.data.scanning.scan import scan
    from lib_trainer.data.subsets import Subset

    report(f"Writing {pictures} pictures ...")
    _draw(folder, pictures)
    subset = Subset("", captions=CaptionRules(shuffle=True, keep_tokens=1))

    def planned() -> Plan:
        return Plan([Dataset(found.items, Buckets(512, 512, 64), 4)], seed=1)

    report("Listing and planning them ...")
    found, scanning = _timed(lambda: scan(folder, subset=subset))
    plan, planning = _timed(planned)
    uses, epoch = _timed(lambda: sum(len(batch.samples) for batch in plan.batches(1)))
    report("Counting the memory ...")
    tracemalloc.start()
    found, plan = scan(folder, subset=subset), planned()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return DataCosts(len(found.items), uses, scanning, planning, epoch, held / len(plan.pictures))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _draw(folder: Path, count: int) -> None:
    from PIL import Image

    rng = random.Random(1)
    words = [f"tag{number}" for number in range(2000)]
    contents = []
    for size in _SIZES:
        buffer = io.BytesIO()
        Image.new("RGB", size).save(buffer, "PNG")
        contents.append(buffer.getvalue())
    for number in range(count):
        place = folder / f"{number // _PER_FOLDER % 3 + 1}_set {number // _PER_FOLDER:03}"
        if number % _PER_FOLDER == 0:
            place.mkdir(parents=True)
        (place / f"{number:06}.png").write_bytes(rng.choice(contents))
        (place / f"{number:06}.txt").write_text(", ".join(rng.sample(words, 20)), encoding="utf8")
