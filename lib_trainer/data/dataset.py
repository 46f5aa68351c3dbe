"""A data set: pictures that are trained at the same sizes, so many at once, and what of them is held out.

A run may have several with their own sizes and batch sizes, even of the same pictures.
"""
from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.item import Item
from lib_trainer.data.scanning.pairs import sides


@dataclass(frozen=True)
class Dataset:
    """Pictures that are trained at the same sizes, so many at once.

    Attributes:
        items: training and regularisation pictures (`is_reg` tells).
        buckets: the sizes.
        batch_size: pictures per batch.
        validation_split: part (0..1) of the training pictures that is held out. validation_seed: decides which; None =
            the run's seed.
        place: where it was written, such as "datasets[1]"; empty = the form.
    """

    items: Sequence[Item]
    buckets: Buckets
    batch_size: int = 1
    validation_split: float = 0.0
    validation_seed: int | None = None
    place: str = ""

    def without(self, files: Collection[Path]) -> Dataset:
        """Returns the data set without the pictures of some files, and without pairs that have one of them."""
        return replace(self, items=[item for item in self.items if not any(one.path in files for one in sides([item]))])
