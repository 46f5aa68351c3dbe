"""Whether the disks have room for all that a run will write."""
from __future__ import annotations

import shutil
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


def check(config: TrainConfig, host: Host, made: Network, length: Length, found: Found | None = None) -> None:
    """Checks that the disks have room for all that the run will write: files in one folder, states in another.

    Args:
        config: the settings. host: where the folders lie. made: the adapters. length: of the whole run.
        found: what it goes on with; files that it has written already need no more room.

    Raises:
        Problems: they have not; says how much is missing.
    """
    learned = sum(factor.numel() for layer in made.layers.values() for factor in layer.parameters())
    there = sum(Path(file).exists() for file in found.record.files) if found and found.record else 0
    wanted = [
        (output_folder(config, host), 1 + max(0, files_kept(config, length) - there),
         made.numbers * DTYPES[config.save_precision].itemsize, "files"),
        (host.paths.outputs, states.most(config, length), learned * _STATE_BYTES, "states"),
    ]
    if faults := [sentence for folder, count, each, what in wanted
                  if (sentence := _too_small(folder, count, each, what))]:
        raise Problems(faults)


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


def _too_small(folder: Path, count: int, each: int, what: str) -> str:
    """Returns why a folder's disk is too small, "" when it is not."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if count * each <= free:
        return ""
    return (f"The disk of {str(folder)!r} has {free / 1e6:.0f} MB left, but the run writes {count} {what} of "
            f"{each / 1e6:.0f} MB: free space, save less often, or choose another folder.")
