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
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from lib_trainer import seeds
from lib_trainer.data import looks, steps
from lib_trainer.data.balance import balance
from lib_trainer.data.buckets import Size
from lib_trainer.data.captions.caption_rules import Moment
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.lazily import Lazily
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.sample import Batch, Placed, Sample
from lib_trainer.data.scanning.pairs import sides


@dataclass
class Share:
    """What one data set gives to every epoch.

    Attributes:
        dataset: the data set.
        numbers: of its uses, by size.
        images: training pictures. reg_images: regularisation pictures in use. image_uses, reg_uses: theirs per epoch.
        mean_ar_error: mean absolute difference of the aspect ratios of bucket and picture, over all uses.
    """

    dataset: Dataset
    numbers: dict[Size, array[int]] = field(default_factory=dict)
    images: int = 0
    reg_images: int = 0
    image_uses: int = 0
    reg_uses: int = 0
    mean_ar_error: float = 0.0

    @property
    def samples_per_epoch(self) -> int:
        """Uses per epoch."""
        return self.image_uses + self.reg_uses

    @property
    def batches_per_epoch(self) -> int:
        """Batches per epoch."""
        return sum(-(-len(uses) // self.dataset.batch_size) for uses in self.numbers.values())

    @property
    def bucket_counts(self) -> dict[Size, int]:
        """Uses per epoch by bucket, sorted."""
        return {size: len(uses) for size, uses in sorted(self.numbers.items())}

    @property
    def dropped_reg(self) -> int:
        """Regularisation pictures that are left out because there are enough of them."""
        return len(self.dataset.items) - self.images - self.reg_images


class Plan:
    """All epochs of a run.

    Attributes:
        seed: the run's.
        shares: what each data set gives.
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
        self.shares = [self._share(dataset) for dataset in datasets]
        self.images = sum(share.images for share in self.shares)
        self.reg_images = sum(share.reg_images for share in self.shares)
        self.dropped_reg = sum(share.dropped_reg for share in self.shares)
        self.samples_per_epoch = self._starts[-1]
        self.batches_per_epoch = sum(share.batches_per_epoch for share in self.shares)
        self.bucket_counts = self._counts()
        errors = sum(share.mean_ar_error * share.samples_per_epoch for share in self.shares)
        self.mean_ar_error = errors / max(1, self.samples_per_epoch)
        self.updates = 0
        if self.batches_per_epoch and (epochs or run_steps):
            self.updates = steps.run_length(self.batches_per_epoch, accumulation, epochs, run_steps).updates

    def _share(self, dataset: Dataset) -> Share:
        """Takes the pictures of a data set in."""
        share = Share(dataset)
        # Most pictures have one of a few sizes.
        select = cache(dataset.buckets.select)
        placed = [(Placed(item, select(item.width, item.height)), repeats) for item, repeats in balance(dataset.items)]
        # By bucket; pictures keep their order inside one, since sorting is stable.
        placed.sort(key=lambda pair: pair[0].placement.bucket)
        error = 0.0
        for picture, repeats in placed:
            start = self._starts[-1]
            share.numbers.setdefault(picture.placement.bucket, array("q")).extend(range(start, start + repeats))
            self._starts.append(start + repeats)
            self.pictures.append(picture)
            share.images += not picture.item.is_reg
            share.reg_images += picture.item.is_reg
            share.image_uses += 0 if picture.item.is_reg else repeats
            share.reg_uses += repeats if picture.item.is_reg else 0
            error += abs(picture.placement.ar_error) * repeats
        share.mean_ar_error = error / max(1, share.samples_per_epoch)
        return share

    def _counts(self) -> dict[Size, int]:
        counts: Counter[Size] = Counter()
        for share in self.shares:
            counts.update(share.bucket_counts)
        return dict(sorted(counts.items()))

    def uses(self, number: int) -> int:
        """Returns how often picture number `number` of `pictures` is used per epoch."""
        return self._starts[number + 1] - self._starts[number]

    def batches(self, epoch: int) -> Lazily[list[int], Batch]:
        """Returns the batches of an epoch (counted from 1), made one at a time as they are asked for."""
        rng = seeds.python(self.seed, "order", epoch)
        found: list[list[int]] = []
        for share in self.shares:
            size = share.dataset.batch_size
            for numbers in share.numbers.values():
                shuffled = list(numbers)
                rng.shuffle(shuffled)
                found += [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
        rng.shuffle(found)

        def made(number: int, uses: list[int]) -> Batch:
            moment = self.moment(epoch, number)
            return Batch([self.sample(moment, use) for use in uses])

        return Lazily(found, made)

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
        return self._shown(item, look, moment, repeat, key)

    def _shown(self, item: Item, look: Look, moment: Moment, repeat: int, key: str) -> Sample:
        """Returns a use, and that of the partner: it looks the same, and of its caption the same tags are moved.

        The model is told the size of the first picture for both, so that a size is no part of the difference.
        """
        rng = seeds.python(self.seed, "caption", moment.epoch, key)
        caption, second = item.subset.captions.apply(item.caption, rng, moment), item.partner
        if second is None:
            return Sample(item, look, caption, repeat, key)
        partner = self._shown(replace(second, width=item.width, height=item.height), look, moment, repeat, key)
        return Sample(item, look, caption, repeat, key, partner)

    @property
    def partners(self) -> list[Placed]:
        """The second pictures of all pairs, bucket by bucket as `pictures`."""
        return [Placed(picture.item.partner, picture.placement, picture.item)
                for picture in self.pictures if picture.item.partner]

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
        for item in sides(picture.item for picture in self.pictures):
            rules, concept = item.subset.captions, item.subset.concept
            found.update(concept.prompts if concept else ())
            if not rules.varies(item.caption):
                found.update(rules.forms(item.caption))
        return sorted(found)
