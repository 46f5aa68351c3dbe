"""What the page shows of a picture folder before Start: thumbnails, counts, captions, the steps that follow."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_trainer.data.captions import tags
from lib_trainer.data.dataset import Plan
from lib_trainer.data.opening import UnreadablePicture, open_rgb
from lib_trainer.data.scan import Item, Scan
from lib_trainer.data.steps import Length

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Summary:
    """A data set in numbers.

    Attributes:
        images: training pictures. reg_images: regularisation pictures in use.
        captioned: training pictures with a caption file of their own.
        samples: uses per epoch, regularisation included. batches: batches per epoch.
        updates: steps of the whole run. epochs: passes over the data.
        buckets: uses per epoch by size, such as {"512x512": 40}.
        skipped: what is not used: path and reason, one sentence each.
        problems: faults to be mended before training. warnings: what a person should know.
    """

    images: int
    reg_images: int
    captioned: int
    samples: int
    batches: int
    updates: int
    epochs: int
    buckets: dict[str, int]
    skipped: list[str]
    problems: list[str]
    warnings: list[str]

    @property
    def text(self) -> str:
        """The line under the folder: counts and the steps that follow."""
        reg = f", {self.reg_images} regularisation pictures" if self.reg_images else ""
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return (f"{self.images} pictures, {self.captioned} with caption files{reg}{skipped}: {self.samples} uses in "
                f"{self.batches} batches per epoch, {self.updates} steps in {self.epochs} epochs")


def summary(scans: Sequence[Scan], plan: Plan, length: Length) -> Summary:
    """Sums up the folders of a run.

    Args:
        scans: of the picture folder and, if given, of the regularisation folder.
        plan: made of their items.
        length: from `steps.run_length`.
    """
    items = [item for scan in scans for item in scan.items if not item.is_reg]
    dropped = [
        f"{plan.dropped_reg} regularisation pictures are not used: there are more than the training pictures need."
    ] if plan.dropped_reg else []
    return Summary(
        images=plan.images,
        reg_images=plan.reg_images,
        captioned=sum(item.captioned for item in items),
        samples=plan.samples_per_epoch,
        batches=plan.batches_per_epoch,
        updates=length.updates,
        epochs=length.epochs,
        buckets={f"{width}x{height}": count for (width, height), count in plan.bucket_counts.items()},
        skipped=[f"{skip.path}: {skip.reason}." for scan in scans for skip in scan.skipped],
        problems=[problem for scan in scans for problem in scan.problems],
        warnings=[warning for scan in scans for warning in scan.warnings] + dropped,
    )


def thumbnails(items: Sequence[Item], count: int, size: int = 160) -> list[tuple[Image, str]]:
    """Returns the first `count` pictures, small, each with its caption; broken ones are left out.

    Args:
        items: pictures of a scan.
        count: how many at most.
        size: longer side in pixels at most.
    """
    found: list[tuple[Image, str]] = []
    for item in items:
        if len(found) == count:
            break
        try:
            image = open_rgb(item.path)
        except UnreadablePicture:
            # Still in `items` because only headers were read; the verifying pass before training lists it.
            continue
        image.thumbnail((size, size))
        found.append((image, item.caption or item.path.name))
    return found


def folders(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Returns repeats and number of pictures by folder name, in the form of kohya's `ss_dataset_dirs`."""
    found: dict[str, dict[str, int]] = {}
    for item in items:
        entry = found.setdefault(item.folder, {"n_repeats": item.repeats, "img_count": 0})
        entry["img_count"] += 1
    return found


def tag_frequency(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Returns how many pictures have a tag, by folder name, in the form of kohya's `ss_tag_frequency` (lower case)."""
    found: dict[str, Counter[str]] = {}
    for item in items:
        found.setdefault(item.folder, Counter()).update(tag.lower() for tag in tags(item.caption))
    return {folder: dict(counts) for folder, counts in found.items()}
