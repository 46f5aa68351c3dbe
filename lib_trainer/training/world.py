"""The processes that train one LoRA together.

A batch of the plan is the batch of all of them: process r of n takes its samples r, r + n, r + 2n ... Every process has
the whole adapters and the same optimiser; before an update the gradients are added up, so all of them make the same
update. A training in a page or on one device is `ALONE`; the world of several processes is made by the command line.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from lib_trainer.data.sample import Batch
from lib_trainer.training.controls import Controls

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class World(Protocol):
    """What the processes of a run do together; all of them must call the same method at the same place."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0; 0 writes the files."""

    @property
    def size(self) -> int:
        """How many processes there are."""

    @property
    def is_main(self) -> bool:
        """Whether this is process 0."""

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Makes every parameter's gradient the sum of all processes' (none counts as 0)."""

    def gather(self, value: T) -> list[T]:
        """Returns what all processes gave, by rank, to all of them."""

    def shared(self, controls: Controls) -> Controls:
        """Returns buttons that act in all processes at the same update."""


class _Alone:
    """One process."""

    rank = 0
    size = 1
    is_main = True

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Its own gradients are the sum already."""

    def gather(self, value: T) -> list[T]:
        """Returns what it gave."""
        return [value]

    def shared(self, controls: Controls) -> Controls:
        """Returns the buttons as they are."""
        return controls


ALONE: World = _Alone()
"""The world of a training in one process."""


def share(batch: Batch, world: World) -> Batch:
    """Returns what this process does of a batch; nothing where the batch has fewer samples than there are processes."""
    return batch if world.size == 1 else Batch(batch.samples[world.rank :: world.size])
