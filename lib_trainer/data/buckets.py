"""Aspect buckets: the sizes at which pictures are trained, and which picture goes where.

A batch needs pictures of one size, and cropping everything square cuts heads off. So pictures are sorted into sizes
("buckets") of nearly the same area whose sides are multiples of a step; each picture is scaled until it covers its
bucket and the overhang is cut off evenly. List, choice and rounding are sd-scripts', number for number.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

from lib_trainer.errors import UserError

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Placement:
    """What is done to one picture.

    Attributes:
        bucket: size at which it is trained.
        resized: size to which the whole picture is scaled first; covers the bucket.
        crop: left and top of the bucket inside the scaled picture.
        ar_error: aspect ratio of the bucket minus that of the picture, as kohya reports it.
    """

    bucket: Size
    resized: Size
    crop: Size
    ar_error: float


def resolutions(max_w: int, max_h: int, min_size: int, max_size: int, step: int) -> list[Size]:
    """Returns all buckets for the area max_w x max_h, sorted by width, then height.

    Args:
        max_w: width and `max_h` height of the training resolution in pixels; their product is the largest area.
        min_size: least side. max_size: greatest side. step: every side is a multiple of it.
    """
    area = max_w * max_h
    square = math.isqrt(area) // step * step
    found = {(square, square)}
    for width in range(min_size, max_size + 1, step):
        height = min(max_size, area // width // step * step)
        if height >= min_size:
            found |= {(width, height), (height, width)}
    return sorted(found)


class Buckets:
    """The buckets of one run.

    Attributes:
        sizes: all sizes a picture may get; with `no_upscale` further ones arise from the pictures.
        minimum: least side in pixels, `maximum` greatest, as rounded to the step.
    """

    def __init__(
        self,
        width: int,
        height: int,
        step: int,
        *,
        enabled: bool = True,
        minimum: int = 0,
        maximum: int = 0,
        no_upscale: bool = False,
    ) -> None:
        """Plans the sizes.

        Args:
            width: of the training resolution in pixels. height: likewise.
            step: bucket step of the model family in pixels.
            enabled: False = one size only: everything is scaled and cropped to the resolution.
            minimum: least side; 0 = half the resolution's shorter side. Rounded down to the step.
            maximum: greatest side; 0 = twice the resolution's longer side. Rounded up to the step.
            no_upscale: pictures smaller than the resolution keep their size, cut to the step.

        Raises:
            UserError: the limits leave no bucket for the resolution.
        """
        self.width, self.height, self.step = width, height, step
        self.enabled, self.no_upscale = enabled, no_upscale
        self.minimum = _least(width, height, step, minimum)
        self.maximum = _greatest(width, height, step, maximum)
        if not enabled:
            self.sizes = [(width, height)]
            return
        self._check(minimum, maximum)
        self.sizes = resolutions(width, height, self.minimum, self.maximum, step)

    def _check(self, minimum: int, maximum: int) -> None:
        short, long = sorted((self.width, self.height))
        resolution = f"The resolution {self.width}x{self.height}"
        faults = []
        if 0 < minimum < self.step:
            faults.append(f"The smallest bucket side {minimum} is below the bucket step {self.step}: "
                          f"enter {self.step} or more, or 0 for half the resolution.")
        if short < self.minimum:
            faults.append(f"{resolution} lies below the smallest bucket side {self.minimum}: "
                          "lower that side, or raise the resolution.")
        if long > self.maximum:
            faults.append(f"{resolution} lies above the largest bucket side {self.maximum}: "
                          "raise that side, or lower the resolution.")
        if faults:
            raise UserError(" ".join(faults))

    @property
    def notes(self) -> list[str]:
        """What a person may not expect of these buckets, one sentence each."""
        if not self.enabled or (self.width % self.step == 0 and self.height % self.step == 0):
            return []
        square = math.isqrt(self.width * self.height) // self.step * self.step
        return [
            f"The resolution {self.width}x{self.height} is not a multiple of the bucket step {self.step}: square "
            f"pictures are trained at {square}x{square}. Choose a multiple of {self.step}, or switch 'Aspect buckets' "
            "off."
        ]

    def select(self, width: int, height: int) -> Placement:
        """Chooses size, scaling and crop for a picture of width x height pixels."""
        if not self.enabled:
            return _cover((width, height), (self.width, self.height))
        if self.no_upscale:
            return self._keep_size(width, height)
        if (width, height) in self.sizes:
            return _cover((width, height), (width, height))
        ratio = width / height
        # The difference of ratios, not their quotient: errors of wide pictures weigh more. The field's rule.
        return _cover((width, height), min(self.sizes, key=lambda size: abs(size[0] / size[1] - ratio)))

    def _keep_size(self, width: int, height: int) -> Placement:
        """sd-scripts' bucket_no_upscale: never enlarge; sides are cut to the step; minimum and maximum do not apply."""
        ratio = width / height
        resized = (width, height) if width * height <= self.width * self.height else self._shrink(ratio)
        if min(resized) < self.step:
            resized = self._strip(width, height)
        bucket = (resized[0] // self.step * self.step, resized[1] // self.step * self.step)
        limit = max(self.step, self.width * self.height // self.step // self.step * self.step)
        return _place(resized, (min(bucket[0], limit), min(bucket[1], limit)), ratio)

    def _shrink(self, ratio: float) -> Size:
        """Returns the size of a too large picture at the resolution's area, one side already cut to the step."""
        area = self.width * self.height
        wide, high = math.sqrt(area * ratio), math.sqrt(area / ratio)
        width = int(wide) // self.step * self.step
        height = int(high) // self.step * self.step
        by_width = (width, int(width / ratio + 0.5))
        by_height = (int(height * ratio + 0.5), height)
        return by_width if self._error(by_width, ratio) < self._error(by_height, ratio) else by_height

    def _error(self, size: Size, ratio: float) -> float:
        wide, high = size[0] // self.step, size[1] // self.step
        return abs(wide / high - ratio) if wide and high else math.inf

    def _strip(self, width: int, height: int) -> Size:
        """Scales a picture with a side below the step so that this side is one step.

        sd-scripts' bucket of such a picture has a side of 0, and it crashes: this is the one case that is enlarged.
        """
        scale = self.step / min(width, height)
        return max(self.step, int(width * scale + 0.5)), max(self.step, int(height * scale + 0.5))


def _least(width: int, height: int, step: int, asked: int) -> int:
    side = asked or min(width, height) // 2
    return max(step, side // step * step)


def _greatest(width: int, height: int, step: int, asked: int) -> int:
    if asked:
        return -(-asked // step) * step
    return max(step, 2 * max(width, height) // step * step)


def _cover(picture: Size, bucket: Size) -> Placement:
    """Scales a picture until it covers the bucket: by height when it is wider than the bucket, else by width."""
    ratio, bucket_ratio = picture[0] / picture[1], bucket[0] / bucket[1]
    scale = bucket[1] / picture[1] if ratio > bucket_ratio else bucket[0] / picture[0]
    resized = (int(picture[0] * scale + 0.5), int(picture[1] * scale + 0.5))
    return _place(resized, bucket, ratio)


def _place(resized: Size, bucket: Size, ratio: float) -> Placement:
    crop = ((resized[0] - bucket[0]) // 2, (resized[1] - bucket[1]) // 2)
    return Placement(bucket=bucket, resized=resized, crop=crop, ar_error=bucket[0] / bucket[1] - ratio)
