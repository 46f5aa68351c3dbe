"""What a training of several runs is made of: parts that train, that work on files, that draw what was made.

A method says what its parts are (copiers and their difference; rounds and the merges between them); `phases` goes
through them, and `parts_record` knows on the disk which are through.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.host import Lease
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event
from lib_trainer.training.methods.parts_record import PartsRecord
from lib_trainer.training.outputs.room import Need
from lib_trainer.training.run import Judge
from lib_trainer.workbench.operation import Operation


@dataclass(frozen=True)
class Trains:
    """A part that trains a LoRA.

    Attributes:
        key: its name on the disk, the same whenever the training goes on; a folder is called so.
        title: what it is, for the person, such as "Copier of the picture after".
        config: its settings; its LoRA is `config.name` in the output folder that they say.
        findings: what its run needs of the check: pictures, data sets, checkpoint. Its `base` may be a file that an
            earlier part writes.
        judge: makes what looks at its events; None = nobody.
    """

    key: str
    title: str
    config: TrainConfig
    findings: Findings
    judge: Callable[[], Judge] | None = None


@dataclass(frozen=True)
class Works:
    """A part that works on files.

    Attributes:
        key, title: as in `Trains`.
        work: begins the operation; it is told what the earlier parts have left. The file of its outcome, where it is
            the last part, is the training's result.
        needs: what it will write.
        is_lora: whether its file, where the host is told of it, is a LoRA; False = a checkpoint.
    """

    key: str
    title: str
    work: Callable[[PartsRecord], Operation]
    needs: tuple[Need, ...] = field(default=())
    is_lora: bool = True


@dataclass(frozen=True)
class Shows:
    """A part that draws what the parts before it have made; their result stays the training's.

    Attributes:
        key, title: as in `Trains`.
        config, findings: how the model is kept meanwhile, and which one.
        draw: draws on a lease of it, given what the earlier parts have left and the buttons; it ends early when the
            person stops.
    """

    key: str
    title: str
    config: TrainConfig
    findings: Findings
    draw: Callable[[Lease, PartsRecord, Controls], Iterator[Event]]


Part = Trains | Works | Shows
Parts = Callable[[Path], Sequence[Part]]
"""From the folder of the whole training to its parts: the same ones whenever it goes on."""
