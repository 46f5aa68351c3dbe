"""Whether the disks have room for all that a run will write."""
from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.errors import Problems
from lib_trainer.host import Host
from lib_trainer.lora.network import Network
from lib_trainer.training.checks.files import output_folder
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.outputs.saving import DTYPES, epochs_apart
from lib_trainer.training.progress import Length
from lib_trainer.training.resume import states
from lib_trainer.training.resume.search import Found

_STATE_BYTES = 4 * 4
"""Of a state, per number that is trained: the number itself, two averages of an optimiser and one of the adapters."""


@dataclass(frozen=True)
class Need:
    """What will be written to a folder: so many files (`what`, such as "states") of so many bytes each."""

    folder: Path
    count: int
    each: int
    what: str


def check(needs: Sequence[Need]) -> None:
    """Checks that the disks have room for all that will be written.

    Raises:
        Problems: they have not; says how much is missing.
    """
    faults = []
    by_disk: dict[int, list[Need]] = {}
    for need in needs:
        by_disk.setdefault(_existing(need.folder).stat().st_dev, []).append(need)
    for on_disk in by_disk.values():
        free = shutil.disk_usage(_existing(on_disk[0].folder)).free
        if sum(need.count * need.each for need in on_disk) > free:
            faults.append(_too_small(on_disk, free))
    if faults:
        raise Problems(faults)


def needs(config: TrainConfig, host: Host, made: Network, length: Length, found: Found | None = None) -> list[Need]:
    """Returns what a run will write: files in one folder, states in another.

    Args:
        config: the settings. host: where the folders lie. made: the adapters. length: of the whole run.
        found: what it goes on with; files that it has written already need no more room.
    """
    learned = sum(factor.numel() for layer in made.layers.values() for factor in layer.parameters())
    there = sum(Path(file).exists() for file in found.record.files) if found and found.record else 0
    return [
        Need(output_folder(config, host), 1 + max(0, files_kept(config, length) - there),
             made.numbers * DTYPES[config.save_precision].itemsize, "files"),
        Need(host.paths.outputs, states.most(config, length), learned * _STATE_BYTES, "states"),
    ]


def files_kept(config: TrainConfig, length: Length) -> int:
    """Returns how many files lie on the disk at once beside the final one; an old one goes after the new one came."""
    apart = epochs_apart(config, length.epochs)
    by_epoch = (length.epochs - 1) // apart if apart else 0
    by_step = (length.total - 1) // config.save_every_steps if config.save_every_steps else 0
    if config.keep_last_epochs:
        by_epoch = min(by_epoch, config.keep_last_epochs + 1)
    if config.keep_last_steps and config.save_every_steps:
        by_step = min(by_step, config.keep_last_steps // config.save_every_steps + 2)
    return by_epoch + by_step + bool(config.early_stopping)


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _too_small(needs: Sequence[Need], free: int) -> str:
    """Says what does not fit on a disk."""
    written = " and ".join(f"{need.count} {need.what} of {need.each / 1e6:.0f} MB" for need in needs if need.count)
    folders = ", ".join(dict.fromkeys(repr(str(need.folder)) for need in needs if need.count))
    return (f"The disk of {folders} has {free / 1e6:.0f} MB left, but the run writes {written}: free space, save less "
            "often, or choose another folder.")
