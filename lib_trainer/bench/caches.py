"""What the caches of a big data set cost: time to fill them, time to read an epoch from them, and memory meanwhile.

The pictures are tiny (64 px) and all different, the encoders are those of the loaded checkpoint, and nothing is
trained: what grows here with the number of pictures is what the data costs a run.
"""
from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.bench.short_run import Report
from lib_trainer.host import Host, HostPaths

if TYPE_CHECKING:
    from lib_trainer.data.plan import Plan

_SIDE = 64
_PER_CAPTION = 10
"""Pictures that share a caption."""

_BATCH = 16


@dataclass(frozen=True)
class Phase:
    """One phase: its seconds, and the process' memory in MiB after it, above what there was before the first one."""

    seconds: float
    memory: float


@dataclass(frozen=True)
class CacheCosts:
    """What was measured.

    Attributes:
        pictures: how many there were. captions: different ones among them.
        phases: "list" (list and plan), "decode" (every picture once), "latents" and "captions" (fill the caches on the
            disk), "epoch" (read one epoch's batches from them), "again" (what a second run does before its first step).
        disk: MiB of the caches.
    """

    pictures: int
    captions: int
    phases: dict[str, Phase] = field(default_factory=dict)
    disk: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return asdict(self)


class _Clock:
    """Notes what each phase took."""

    def __init__(self, report: Report) -> None:
        self.phases: dict[str, Phase] = {}
        self._report, self._start, self._memory = report, time.perf_counter(), _memory()

    def ended(self, name: str) -> None:
        self.phases[name] = Phase(time.perf_counter() - self._start, (_memory() - self._memory) / 2**20)
        self._report(f"{name}: {self.phases[name].seconds:.1f} s, {self.phases[name].memory:+.0f} MiB")
        self._start = time.perf_counter()


def measure(host: Host, folder: Path, pictures: int, report: Report) -> CacheCosts:
    """Draws pictures into a folder, caches them in the host's folder, and reads an epoch.

    Args:
        host: whose encoders are used.
        folder: an empty one.
        pictures: how many.
        report: told what is being done.
    """
    from lib_trainer.training import caching

    report(f"Writing {pictures} pictures ...")
    _draw(folder, pictures)
    clock = _Clock(report)
    plan = _planned(folder)
    clock.ended("list")
    _cached(host, plan, clock, ("decode", "latents", "captions", "epoch"))
    _cached(host, _planned(folder), clock, ("", "", "", ""))
    clock.ended("again")
    disk = sum(size.bytes for size in caching.sizes(host.paths).values()) / 2**20
    return CacheCosts(len(plan.pictures), len(plan.captions), clock.phases, disk)


def _planned(folder: Path) -> Plan:
    from lib_trainer.data.buckets import Buckets
    from lib_trainer.data.dataset import Dataset
    from lib_trainer.data.plan import Plan
    from lib_trainer.data.scanning.scan import scan

    return Plan([Dataset(scan(folder).items, Buckets(_SIDE, _SIDE, _SIDE), 4)], seed=1)


def _cached(host: Host, plan: Plan, clock: _Clock, names: tuple[str, str, str, str]) -> None:
    """Goes through the phases as a run does; those without a name are not noted, and the epoch not read."""
    from lib_trainer.data.caches.latent_cache import LatentCache
    from lib_trainer.data.caches.text_cache import TextCache
    from lib_trainer.data.loading import Loader, ahead
    from lib_trainer.data.scanning.known_files import KnownFiles
    from lib_trainer.data.scanning.verify import verify
    from lib_trainer.training import caching

    folders: HostPaths = host.paths
    with closing(KnownFiles(caching.known_files(folders))) as known, host.borrow_model() as lease:
        _exhaust(verify([picture.item for picture in plan.pictures], known=known), clock, names[0])
        latents = LatentCache(plan.seed, folder=caching.latents_folder(folders), vae="bench", known=known)
        _exhaust(latents.fill(plan.pictures, lease.turn, _BATCH), clock, names[1])
        texts = TextCache(folder=caching.captions_folder(folders), encoder="bench")
        _exhaust(texts.fill(plan.captions, lease.turn), clock, names[2])
    if names[3]:
        _exhaust(ahead(plan.batches(1), Loader(latents, texts).load), clock, names[3])


def _exhaust(work: Iterable[object], clock: _Clock, name: str) -> None:
    for _ in work:
        pass
    if name:
        clock.ended(name)


def _memory() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _draw(folder: Path, count: int) -> None:
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True)
    rng, names = np.random.default_rng(1), random.Random(1)
    words = [f"tag{number}" for number in range(2000)]
    caption = ""
    for number in range(count):
        if number % _PER_CAPTION == 0:
            caption = ", ".join(names.sample(words, 20))
        small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((_SIDE, _SIDE), Image.Resampling.NEAREST).save(folder / f"{number:06}.png")
        (folder / f"{number:06}.txt").write_text(caption, encoding="utf8")
