"""The plan of a run: which picture, mirrored or not, with which caption, in which batch of which epoch.

Everything follows from the pictures, the settings and the seed, and any epoch can be asked for at any time: nothing is
drawn from a running generator, so a resumed run sees what an uninterrupted one would have seen. An epoch is kept as a
list of numbers and turned into samples one batch at a time, because a data set may have half a million uses per epoch.

A run may have several data sets with their own sizes and batch sizes, even of the same pictures: each is balanced and
cut into batches on its own, and the batches of all are shuffled together.
"""
from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import overload

from lib_trainer import seeds
from lib_trainer.data import looks, steps
from lib_trainer.data.buckets import Buckets, Placement, Size
from lib_trainer.data.captions import Moment
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.scan import Item


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture and what is done to it."""

    item: Item
    placement: Placement


@dataclass(frozen=True)
class Sample:
    """One use of one picture.

    Attributes:
        item: the picture. look: its scaling, crop, mirroring and colours in this use.
        caption: what it is shown with, after shuffling and dropping.
        repeat_index: which of its uses in the epoch, from 0.
        key: stable name of this use, for generators: the same in every epoch and on every machine.
    """

    item: Item
    look: Look
    caption: str
    repeat_index: int
    key: str

    @property
    def placement(self) -> Placement:
        """Scaling and crop of this use."""
        return self.look.placement

    @property
    def flip(self) -> bool:
        """Whether it is shown mirrored."""
        return self.look.flip

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
        """Returns the data set without the pictures of some files."""
        return replace(self, items=[item for item in self.items if item.path not in files])


@dataclass(frozen=True)
class _Uses:
    """The uses of one data set in an epoch: `numbers` of them by size."""

    batch_size: int
    numbers: dict[Size, array[int]] = field(default_factory=dict)

    @property
    def batches(self) -> int:
        return sum(-(-len(uses) // self.batch_size) for uses in self.numbers.values())


class Plan:
    """All epochs of a run.

    Attributes:
        seed: the run's.
        pictures: every picture in use with its placement, bucket by bucket, data set by data set.
        images: training pictures. reg_images: regularisation pictures in use.
        dropped_reg: regularisation pictures that are left out because there are enough of them.
        samples_per_epoch: uses per epoch. batches_per_epoch: batches per epoch.
        bucket_counts: uses per epoch by bucket, sorted.
        mean_ar_error: mean absolute difference of the aspect ratios of bucket and picture, over all uses.
        updates: of the whole run; 0 = not known.
    """

    def __init__(
        self, datasets: Sequence[Dataset], *, seed: int, accumulation: int = 1, epochs: int = 0, run_steps: int = 0
    ) -> None:
        """Plans the run.

        Args:
            datasets: at least one training picture in all.
            seed: the run's seed.
            accumulation: batches per update; captions may depend on the update.
            epochs: length of the run. run_steps: its length in updates, wins above 0. Both 0 = not known.
        """
        self.seed, self._accumulation = seed, accumulation
        self.pictures: list[Placed] = []
        # Use number n belongs to the picture whose range of numbers holds n.
        self._starts = array("q", [0])
        self._uses = [_Uses(dataset.batch_size) for dataset in datasets]
        self.images = self.reg_images = self.dropped_reg = 0
        error = 0.0
        for dataset, uses in zip(datasets, self._uses, strict=True):
            error += self._add(dataset, uses)
        self.samples_per_epoch = self._starts[-1]
        self.batches_per_epoch = sum(uses.batches for uses in self._uses)
        self.bucket_counts = self._counts()
        self.mean_ar_error = error / max(1, self.samples_per_epoch)
        self.updates = 0
        if self.batches_per_epoch and (epochs or run_steps):
            self.updates = steps.run_length(self.batches_per_epoch, accumulation, epochs, run_steps).updates

    def _add(self, dataset: Dataset, uses: _Uses) -> float:
        """Takes the pictures of a data set in; returns the sum of their aspect errors over all uses."""
        used = balance(dataset.items)
        # Most pictures have one of a few sizes.
        select = cache(dataset.buckets.select)
        placed = [(Placed(item, select(item.width, item.height)), repeats) for item, repeats in used]
        # By bucket; pictures keep their order inside one, since sorting is stable.
        placed.sort(key=lambda pair: pair[0].placement.bucket)
        self.pictures += [picture for picture, _ in placed]
        for end, (picture, repeats) in zip(
            accumulate((repeats for _, repeats in placed), initial=self._starts[-1]), placed, strict=False
        ):
            uses.numbers.setdefault(picture.placement.bucket, array("q")).extend(range(end, end + repeats))
            self._starts.append(end + repeats)
        reg = sum(item.is_reg for item, _ in used)
        self.reg_images += reg
        self.images += len(used) - reg
        self.dropped_reg += len(dataset.items) - len(used)
        return sum(abs(picture.placement.ar_error) * repeats for picture, repeats in placed)

    def _counts(self) -> dict[Size, int]:
        counts: dict[Size, int] = {}
        for uses in self._uses:
            for size, numbers in uses.numbers.items():
                counts[size] = counts.get(size, 0) + len(numbers)
        return dict(sorted(counts.items()))

    def uses(self, number: int) -> int:
        """Returns how often picture number `number` of `pictures` is used per epoch."""
        return self._starts[number + 1] - self._starts[number]

    def batches(self, epoch: int) -> Epoch:
        """Returns the batches of an epoch (counted from 1), made one at a time as they are asked for."""
        rng = seeds.python(self.seed, "order", epoch)
        found: list[list[int]] = []
        for uses in self._uses:
            size = uses.batch_size
            for numbers in uses.numbers.values():
                shuffled = list(numbers)
                rng.shuffle(shuffled)
                found += [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
        rng.shuffle(found)
        return Epoch(self, epoch, found)

    def moment(self, epoch: int, batch: int) -> Moment:
        """Returns when batch number `batch` (from 0) of an epoch is trained."""
        done = (epoch - 1) * steps.updates_per_epoch(self.batches_per_epoch, self._accumulation)
        return Moment(epoch, done + batch // self._accumulation, self.updates)

    def sample(self, moment: Moment, use: int) -> Sample:
        """Returns use number `use` (0 .. samples_per_epoch - 1) as it looks at a moment of the run."""
        index = bisect_right(self._starts, use) - 1
        picture, repeat = self.pictures[index], use - self._starts[index]
        item = picture.item
        key = f"{item.key}#{repeat}"
        look = looks.draw(item.subset.pictures, item.path, (item.width, item.height), picture.placement, self.seed,
                          moment.epoch, key)
        rng = seeds.python(self.seed, "caption", moment.epoch, key)
        return Sample(item, look, item.subset.captions.apply(item.caption, rng, moment), repeat, key)

    @property
    def notes(self) -> list[str]:
        """What a person may not expect of this plan, one sentence each."""
        if not self.dropped_reg:
            return []
        return [f"{self.dropped_reg} of {self.reg_images + self.dropped_reg} regularisation pictures are not used: the "
                f"training pictures, with their repeats, need only {self.reg_images}."]

    @property
    def captions(self) -> list[str]:
        """Everything that can become of the captions that do not vary (`CaptionRules.varies`), sorted."""
        found: set[str] = set()
        for picture in self.pictures:
            rules = picture.item.subset.captions
            if not rules.varies(picture.item.caption):
                found.update(rules.forms(picture.item.caption))
        return sorted(found)

    @property
    def captions_vary(self) -> bool:
        """Whether some caption may take too many forms to encode each of them beforehand."""
        return any(picture.item.subset.captions.varies(picture.item.caption) for picture in self.pictures)


class Epoch(Sequence[Batch]):
    """The batches of one epoch, a sequence that makes its elements when they are asked for."""

    def __init__(self, plan: Plan, epoch: int, uses: list[list[int]], first: int = 0) -> None:
        """Makes the sequence of the epoch's batches from number `first` on, each given by the numbers of its uses."""
        self._plan, self._epoch, self._uses, self._first = plan, epoch, uses, first

    def __len__(self) -> int:
        return len(self._uses)

    @overload
    def __getitem__(self, index: int) -> Batch: ...

    @overload
    def __getitem__(self, index: slice) -> Epoch: ...

    def __getitem__(self, index: int | slice) -> Batch | Epoch:
        if isinstance(index, slice):
            start, _, step = index.indices(len(self._uses))
            if step != 1:
                raise ValueError(f"Batches are cut without steps, not {index}.")
            return Epoch(self._plan, self._epoch, self._uses[index], self._first + start)
        number = range(len(self._uses))[index] + self._first
        moment = self._plan.moment(self._epoch, number)
        return Batch([self._plan.sample(moment, use) for use in self._uses[index]])


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
