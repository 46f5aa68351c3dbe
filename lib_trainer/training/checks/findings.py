"""What a look at the disk and the checkpoint found."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.scan import Scan
from lib_trainer.host import Checkpoint


@dataclass
class Findings:
    """What a look at the disk and the checkpoint found.

    Attributes:
        faults: what must be mended, one sentence each.
        warnings: what the person should know.
        images: the training pictures. reg_images: the regularisation pictures. None where the folder is at fault.
        buckets: the sizes; None where the resolution or the checkpoint is at fault.
        base: the file of the checkpoint to train on, None = the loaded one. checkpoint: its facts, None = at fault.
    """

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    images: Scan | None = None
    reg_images: Scan | None = None
    buckets: Buckets | None = None
    base: Path | None = None
    checkpoint: Checkpoint | None = None
