"""The plan of a run: which picture, mirrored or not, with which caption, in which batch of which epoch.

Everything follows from the pictures, the settings and the seed, and any epoch can be asked for at any time: nothing is
drawn from a running generator, so a resumed run sees what an uninterrupted one would have seen. An epoch is kept as a
list of numbers and turned into samples one batch at a time, because a data set may have half a million uses per epoch.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

from lib_trainer import seeds
from lib_trainer.data.buckets import Buckets, Placement, Size
from lib_trainer.data.captions import CaptionRules
from lib_trainer.data.scan import Item


@dataclass(frozen=True)
class Placed:
    """A picture and what is done to it."""

    item: Item
    placement: Placement


@dataclass(frozen=True)
class Sample:
    """One use of one picture.

    Attributes:
        item: the picture. placement: its scaling and crop.
        flip: whether it is shown mirrored.
        caption: what it is shown with, after shuffling and dropping.
        repeat_index: which of its uses in the epoch, from 0.
        key: stable name of this use, for generators: the same in every epoch and on every machine.
    """

    item: Item
    placement: Placement
    flip: bool
    caption: str
    repeat_index: int
    key: str

    @property
    def size_ids(self) -> tuple[int, int, int, int, int, int]:
        """What SDXL is told, in pixels: the picture's own height and width, top and left of the crop inside the scaled
        picture, height and width of what is trained on (Podell et al. 2023, section 2.2).
        """
        (left, top), (width, height) = self.placement.crop, self.placement.bucket
        if self.flip:
            left = self.placement.resized[0] - width - left
        return self.item.height, self.item.width, top, left, height, width


@dataclass(frozen=True)
class Batch:
    """Samples of one size that are trained together."""

    samples: list[Sample]


class Plan:
    """All epochs of a run.

    Attributes:
        pictures: every picture in use with its placement, bucket by bucket.
        images: training pictures. reg_images: regularisation pictures in use.
        dropped_reg: regularisation pictures that are left out because there are enough of them.
        samples_per_epoch: uses per epoch. batches_per_epoch: batches per epoch.
        bucket_counts: uses per epoch by bucket, sorted.
        mean_ar_error: mean absolute difference of the aspect ratios of bucket and picture, over all uses.
    """

    def __init__(
        self,
        items: Sequence[Item],
        buckets: Buckets,
        *,
        batch_size: int,
        seed: int,
        rules: CaptionRules | None = None,
        flip: bool = False,
    ) -> None:
        """Plans the run.

        Args:
            items: training and regularisation pictures (`is_reg` tells), at least one of the former.
            buckets: the sizes.
            batch_size: pictures per batch.
            seed: the run's seed.
            rules: what happens to captions; None = nothing.
            flip: whether half the uses are mirrored.
        """
        self._batch_size, self._seed = batch_size, seed
        self._rules, self._flip = rules or CaptionRules(), flip
        used = balance(items)
        placed = [(Placed(item, buckets.select(item.width, item.height)), repeats) for item, repeats in used]
        # By bucket; pictures keep their order inside one, since sorting is stable.
        placed.sort(key=lambda pair: pair[0].placement.bucket)
        self.pictures = [picture for picture, _ in placed]
        # Use number n belongs to the picture whose range of numbers holds n.
        self._starts = [0, *accumulate(repeats for _, repeats in placed)]
        self._uses: dict[Size, list[int]] = {}
        for (picture, repeats), start in zip(placed, self._starts, strict=False):
            self._uses.setdefault(picture.placement.bucket, []).extend(range(start, start + repeats))
        self.reg_images = sum(item.is_reg for item, _ in used)
        self.images = len(used) - self.reg_images
        self.dropped_reg = len(items) - len(used)
        self.samples_per_epoch = self._starts[-1]
        self.bucket_counts = {bucket: len(uses) for bucket, uses in self._uses.items()}
        self.batches_per_epoch = sum(-(-count // batch_size) for count in self.bucket_counts.values())
        errors = sum(abs(picture.placement.ar_error) * repeats for picture, repeats in placed)
        self.mean_ar_error = errors / max(1, self.samples_per_epoch)

    def batches(self, epoch: int) -> Epoch:
        """Returns the batches of an epoch (counted from 1), made one at a time as they are asked for."""
        rng = seeds.python(self._seed, "order", epoch)
        found: list[list[int]] = []
        for uses in self._uses.values():
            shuffled = list(uses)
            rng.shuffle(shuffled)
            found += [shuffled[start : start + self._batch_size] for start in range(0, len(shuffled), self._batch_size)]
        rng.shuffle(found)
        return Epoch(self, epoch, found)

    def sample(self, epoch: int, use: int) -> Sample:
        """Returns use number `use` (0 .. samples_per_epoch - 1) as it looks in an epoch."""
        index = bisect_right(self._starts, use) - 1
        picture, repeat = self.pictures[index], use - self._starts[index]
        key = f"{picture.item.key}#{repeat}"
        flip = self._flip and seeds.python(self._seed, "flip", epoch, key).random() < 0.5
        caption = self._rules.apply(picture.item.caption, seeds.python(self._seed, "caption", epoch, key))
        return Sample(picture.item, picture.placement, flip, caption, repeat, key)

    @property
    def notes(self) -> list[str]:
        """What a person may not expect of this plan, one sentence each."""
        if not self.dropped_reg:
            return []
        return [f"{self.dropped_reg} of {self.reg_images + self.dropped_reg} regularisation pictures are not used: the "
                f"training pictures, with their repeats, need only {self.reg_images}."]

    @property
    def captions(self) -> list[str]:
        """Every caption that can occur, sorted; for `CaptionRules` that do not vary."""
        found = {picture.item.caption for picture in self.pictures}
        return sorted(found | {""} if self._rules.caption_dropout > 0 else found)


class Epoch(Sequence[Batch]):
    """The batches of one epoch, a sequence that makes its elements when they are asked for."""

    def __init__(self, plan: Plan, epoch: int, uses: list[list[int]]) -> None:
        self._plan, self._epoch, self._uses = plan, epoch, uses

    def __len__(self) -> int:
        return len(self._uses)

    @overload
    def __getitem__(self, index: int) -> Batch: ...

    @overload
    def __getitem__(self, index: slice) -> Epoch: ...

    def __getitem__(self, index: int | slice) -> Batch | Epoch:
        if isinstance(index, slice):
            return Epoch(self._plan, self._epoch, self._uses[index])
        return Batch([self._plan.sample(self._epoch, use) for use in self._uses[index]])


def balance(items: Sequence[Item]) -> list[tuple[Item, int]]:
    """Returns the pictures in use with their repeats: as many uses of regularisation pictures as of training pictures.

    Regularisation pictures are taken one by one, with their folder's repeats, until they have as many uses; if all of
    them are not enough, their repeats rise by one in turn. What is over is left out. The field's rule: the last picture
    taken may bring a few uses too many.
    """
    used = [(item, item.repeats) for item in items if not item.is_reg]
    wanted = sum(repeats for _, repeats in used)
    reg: list[Item] = []
    repeats: list[int] = []
    count = 0
    for item in items:
        if item.is_reg and count < wanted:
            reg.append(item)
            repeats.append(item.repeats)
            count += item.repeats
    for index in range(wanted - count if reg else 0):
        repeats[index % len(reg)] += 1
    return used + list(zip(reg, repeats, strict=True))
