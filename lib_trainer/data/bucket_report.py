"""Which picture went where before anything is trained: its bucket, how it is scaled, and what is cut away.

A bucket is chosen by shape alone, so a head may lie outside it; and a picture smaller than its bucket is enlarged,
which teaches the model blur. Rows are made only for the page that is looked at: a data set may have tens of thousands.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lib_trainer.data.buckets import Size
from lib_trainer.data.plan import Plan
from lib_trainer.data.sample import Placed
from lib_trainer.data.scanning.names import natural_key
from lib_trainer.errors import UserError


@dataclass(frozen=True)
class Row:
    """One picture of the report.

    Attributes:
        number: its place in the plan, from 0. key: its name inside the run. folder: where it lies.
        is_reg: whether it is a regularisation picture. uses: per epoch, after balancing.
        width: pixels of the upright picture. height: likewise.
        bucket: size at which it is trained. resized: to which the whole picture is scaled.
        crop: left and top of the bucket in the scaled picture; of the centred crop where the place is drawn.
        cut: part of the picture that is cut away, 0..1.
        enlarged: by how much it is scaled up, 1.5 = by a half; 1 = not at all.
        ar_error: aspect ratio of the bucket minus that of the picture.
        moves: whether another part may be cut away at every use (random or face crop).
    """

    number: int
    key: str
    folder: str
    is_reg: bool
    uses: int
    width: int
    height: int
    bucket: Size
    resized: Size
    crop: Size
    cut: float
    enlarged: float
    ar_error: float
    moves: bool


@dataclass(frozen=True)
class BucketRow:
    """One bucket of the report.

    Attributes:
        bucket: its size. pictures: in it. uses: per epoch.
        enlarged: how many of its pictures are scaled up.
        ar_error: mean absolute difference of the aspect ratios of bucket and picture, over all uses.
        cut: mean part of the pictures that is cut away, over all uses.
    """

    bucket: Size
    pictures: int
    uses: int
    enlarged: int
    ar_error: float
    cut: float


_ORDERS: dict[str, Callable[[Placed, int], Any]] = {
    "name": lambda placed, uses: natural_key(placed.item.key),
    "bucket": lambda placed, uses: (placed.placement.bucket, natural_key(placed.item.key)),
    "cut": lambda placed, uses: -_cut(placed),
    "enlarged": lambda placed, uses: -_enlarged(placed),
    "aspect": lambda placed, uses: -abs(placed.placement.ar_error),
    "size": lambda placed, uses: placed.item.width * placed.item.height,
    "uses": lambda placed, uses: -uses,
}

ORDERS = tuple(_ORDERS)
"""What a report may be sorted by: what needs a look comes first."""


class BucketReport:
    """The report of a plan.

    Attributes:
        pictures: how many there are.
        buckets: a row per bucket, sorted by size.
        mean_ar_error: as `Plan` has it. enlarged: how many pictures are scaled up.
        dropped_reg: regularisation pictures that are not used.
    """

    def __init__(self, plan: Plan) -> None:
        """Counts a plan's buckets."""
        self._plan = plan
        self._sorted: dict[str, list[int]] = {}
        self.pictures = len(plan.pictures)
        self.buckets = _buckets(plan)
        self.mean_ar_error = plan.mean_ar_error
        self.enlarged = sum(bucket.enlarged for bucket in self.buckets)
        self.dropped_reg = plan.dropped_reg

    def count(self, bucket: Size | None = None) -> int:
        """Returns how many pictures there are in a bucket, or in all."""
        return sum(row.pictures for row in self.buckets if bucket in (None, row.bucket))

    def rows(self, order: str = "name", start: int = 0, count: int = 50, bucket: Size | None = None) -> list[Row]:
        """Returns a page of rows.

        Args:
            order: one of `ORDERS`.
            start: first row, from 0. count: how many at most.
            bucket: only the pictures of this one.

        Raises:
            UserError: no such order.
        """
        numbers = self._numbers(order)
        if bucket is not None:
            numbers = [number for number in numbers if self._plan.pictures[number].placement.bucket == bucket]
        return [self._row(number) for number in numbers[start : start + count]]

    def placed(self, number: int) -> Placed:
        """Returns the picture of a row."""
        return self._plan.pictures[number]

    def to_json(self, order: str, start: int, count: int, bucket: Size | None = None) -> dict[str, Any]:
        """Returns the buckets and a page of rows, ready for JSON; arguments as of `rows`."""
        return {
            "pictures": self.pictures, "enlarged": self.enlarged, "dropped_reg": self.dropped_reg,
            "mean_ar_error": self.mean_ar_error, "buckets": [asdict(row) for row in self.buckets], "order": order,
            "start": start, "of": self.count(bucket),
            "rows": [asdict(row) for row in self.rows(order, start, count, bucket)],
        }

    def _numbers(self, order: str) -> list[int]:
        if order not in _ORDERS:
            raise UserError(f"A bucket report is sorted by {', '.join(ORDERS)}, not by {order!r}.")
        if order not in self._sorted:
            key, plan = _ORDERS[order], self._plan
            self._sorted[order] = sorted(
                range(self.pictures), key=lambda number: key(plan.pictures[number], plan.uses(number)))
        return self._sorted[order]

    def _row(self, number: int) -> Row:
        placed = self._plan.pictures[number]
        item, placement = placed.item, placed.placement
        rules = item.subset.pictures
        return Row(
            number=number, key=item.key, folder=item.folder, is_reg=item.is_reg, uses=self._plan.uses(number),
            width=item.width, height=item.height, bucket=placement.bucket, resized=placement.resized,
            crop=placement.crop, cut=_cut(placed), enlarged=_enlarged(placed), ar_error=placement.ar_error,
            moves=rules.random_crop or rules.face_crop is not None,
        )


def _cut(placed: Placed) -> float:
    (width, height), (wide, high) = placed.placement.resized, placed.placement.bucket
    return 1 - wide * high / (width * height)


def _enlarged(placed: Placed) -> float:
    item, (width, height) = placed.item, placed.placement.resized
    return max(1.0, width / item.width, height / item.height)


def _buckets(plan: Plan) -> list[BucketRow]:
    found: dict[Size, list[int]] = {}
    for number, placed in enumerate(plan.pictures):
        found.setdefault(placed.placement.bucket, []).append(number)
    return [_bucket(plan, size, found[size]) for size in sorted(found)]


def _bucket(plan: Plan, size: Size, numbers: list[int]) -> BucketRow:
    uses = [plan.uses(number) for number in numbers]
    total = max(1, sum(uses))
    pictures = [plan.pictures[number] for number in numbers]
    return BucketRow(
        bucket=size, pictures=len(numbers), uses=sum(uses), enlarged=sum(_enlarged(one) > 1 for one in pictures),
        ar_error=sum(abs(one.placement.ar_error) * count for one, count in zip(pictures, uses, strict=True)) / total,
        cut=sum(_cut(one) * count for one, count in zip(pictures, uses, strict=True)) / total,
    )
