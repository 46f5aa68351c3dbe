"""What a look at the disk and the checkpoint found."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.host_model import Checkpoint
from lib_trainer.training.resume.search import Found


@dataclass
class Findings:
    """What a look at the disk and the checkpoint found.

    Attributes:
        faults: what must be mended, one sentence each.
        warnings: what the person should know.
        items: all pictures that were found, regularisation included.
        datasets: the same by data set, with their sizes; empty where folders, resolution or checkpoint are at fault.
        base: the file of the checkpoint to train on, None = the loaded one. checkpoint: its facts, None = at fault.
        found: the run to go on with, None = a new one begins. changes: settings that act otherwise than before.
        folder: where a new run puts its files, None = a new folder of its name among the jobs.
    """

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    datasets: list[Dataset] = field(default_factory=list)
    base: Path | None = None
    checkpoint: Checkpoint | None = None
    found: Found | None = None
    changes: list[str] = field(default_factory=list)
    folder: Path | None = None
