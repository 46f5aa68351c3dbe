"""The state of one training run, shared by the loop, the saves and the previews, and how a run waits.

A run waits when the person pauses it, when the host's model was changed, or when a file could not be written; in all
three cases nothing is lost and the buttons keep working.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from lib_trainer.data.item import Item
from lib_trainer.data.plan import Plan
from lib_trainer.errors import ModelChanged
from lib_trainer.host import Host, Lease
from lib_trainer.host_model import Checkpoint, HostModel
from lib_trainer.lora.network import Network, places
from lib_trainer.training import beneath
from lib_trainer.training.beneath import Beneath
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Continued, Event, Paused
from lib_trainer.training.outputs.base_hash import BaseHash
from lib_trainer.training.progress import Length, Progress
from lib_trainer.training.resume.run_record import RunRecord
from lib_trainer.training.resume.stateful import Stateful
from lib_trainer.training.statistics.held_out import HeldOut
from lib_trainer.training.statistics.watch import Watch
from lib_trainer.training.world import ALONE, World

T = TypeVar("T")

_LOOK_AGAIN = 1.0
"""Seconds between two looks whether the host's model is back."""


class Judge(Protocol):
    """Looks at what a run tells, and may say more of it or that it has learned enough.

    What it remembers is part of the run's states, so a run that goes on is judged as if it had never ended.
    """

    @property
    def is_over(self) -> bool:
        """Whether the run has learned enough: it ends after the present update, as if that were its last."""

    def lacks(self, step: int) -> bool:
        """Whether it has not seen all previews of a step at which they were due."""

    def see(self, run: Run, event: Event) -> Iterator[Event]:
        """Looks at an event of the run before what comes after it; yields what it has to say."""

    def state_dict(self) -> dict[str, Any]:
        """Returns what it remembers."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Takes it back."""


@dataclass
class Run:
    """One run.

    Attributes:
        config, host, controls, lease: what it was started with.
        checkpoint: the model it trains on.
        items: all pictures. plan: their order. length: updates and epochs.
        resolution: width and height in pixels.
        network: the adapters. beneath: LoRAs that act with them and do not learn.
        held_out: what is measured instead of trained on.
        folder: the job's folder. record: what it says of this run.
        device: where the model is.
        base_hash: the checkpoint's hash, being computed.
        optimizer: as sd-scripts records it. precision: "no", "fp16" or "bf16".
        step: updates done. epoch: the epoch of the last update, 1-based. saved: names of the files written.
        progress: counts the updates. watch: their losses by timestep and picture.
        stateful: what must be remembered to continue, by name.
        world: the processes that train together.
        preview: the first picture of the last previews, None before any.
        judge: looks at what it tells, None = nobody. is_result: whether its LoRA is what the person wants.
        state_step: the update whose state was written last. state_written_at: when, in monotonic seconds.
    """

    config: TrainConfig
    host: Host
    controls: Controls
    lease: Lease
    checkpoint: Checkpoint
    items: list[Item]
    plan: Plan
    length: Length
    resolution: tuple[int, int]
    network: Network
    folder: Path
    record: RunRecord
    device: torch.device
    base_hash: BaseHash
    progress: Progress
    watch: Watch
    held_out: HeldOut
    optimizer: str = ""
    precision: str = "no"
    step: int = 0
    epoch: int = 0
    saved: set[str] = field(default_factory=set)
    stateful: dict[str, Stateful] = field(default_factory=dict)
    world: World = ALONE
    beneath: list[Beneath] = field(default_factory=list)
    preview: Path | None = None
    judge: Judge | None = None
    is_result: bool = True
    state_step: int = 0
    state_written_at: float = field(default_factory=time.monotonic)

    @property
    def session(self) -> int:
        """Number of the run for the file's metadata, the same in all its parts."""
        return self.record.session

    @property
    def started_at(self) -> float:
        """Unix seconds of its very beginning."""
        return self.record.started_at

    @property
    def is_over(self) -> bool:
        """Whether it ends before its last update, since nothing more is to be learned."""
        return self.held_out.is_over or (self.judge is not None and self.judge.is_over)

    @property
    def prompts(self) -> list[str]:
        """The lines of prompts that are learned from in place of pictures; none = pictures."""
        return list(dict.fromkeys(item.shown for item in self.items if not item.is_picture))

    @property
    def epoch_ended(self) -> bool:
        """Whether the last update was the last of its epoch."""
        return self.step > 0 and self.step % self.length.updates_per_epoch == 0

    @contextmanager
    def turn(self) -> Iterator[HostModel]:
        """A turn on the model with the adapters attached.

        Raises:
            ModelChanged: the host's model is not the one that was leased.
        """
        with self.lease.turn() as model:
            targets = places(model, self.network)
            under = [*model.targets(), *model.other_targets()] if self.beneath else []
            with beneath.attached(self.beneath, under), self.network.attached(targets):
                yield model


def while_paused(controls: Controls, step: int) -> Iterator[Event]:
    """Waits while the person wants a pause; for what one process does alone."""
    if not controls.paused:
        return
    yield Paused(step, "Paused. Press Continue to go on.")
    while controls.paused:
        controls.wait(_LOOK_AGAIN)
    yield Continued(step)


def patiently(controls: Controls, step: int, action: Callable[[], T]) -> Generator[Event, None, T | None]:
    """Does something that needs a turn; while the host has another model loaded, waits until it is back.

    Args:
        controls: a stop ends the waiting.
        step: updates done, for the events.
        action: takes the turn itself; done again from its start after a wait.

    Returns:
        What the action returned, None when the person stopped the run instead.
    """
    waiting = False
    while True:
        try:
            result = action()
        except ModelChanged as change:
            if not waiting:
                yield Paused(step, str(change))
            waiting = True
            if not controls.stopping:
                controls.wait(_LOOK_AGAIN)
            if controls.stopping:
                return None
        else:
            if waiting:
                yield Continued(step)
            return result
