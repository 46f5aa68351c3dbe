"""Drawing the look of a picture: crop, colours and mirroring as pure functions of the seed and of the use.

A random crop is anywhere inside the scaled picture; a face crop scales and cuts so that the face, told by the file's
name as `_cx_cy_w_h` (its centre and size in pixels, the field's convention), lies in the middle and fills a chosen part
of the picture. Colours change as in sd-scripts: a third of the uses, half of these in hue (up to 16 degrees), half in
gamma (0.95 to 1.05); its gamma, though, is a power of 0..255 and so changes the brightness by a quarter, ours is one of
0..1 and leaves black and white as they are.
"""
from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from pathlib import Path

from lib_trainer import seeds
from lib_trainer.data.buckets import Placement, Size
from lib_trainer.data.picture_rules import Look, PictureRules

_COLOURED = 0.33
_HUE = 16.0
"""Degrees; OpenCV, whose units the field's number 8 is in, has half as many as a circle."""

_GAMMA = (0.95, 1.05)
_FACE = re.compile(r"_(\d+)_(\d+)_(\d+)_(\d+)$")


@dataclass(frozen=True)
class Face:
    """A face box in pixels of the upright picture: centre, width and height."""

    x: int
    y: int
    width: int
    height: int


def face_of(path: Path) -> Face | None:
    """Returns the face box of a file name such as `zunko_412_300_180_210.png`, None where there is none."""
    match = _FACE.search(path.stem)
    face = Face(*map(int, match.groups())) if match else None
    return face if face and face.width and face.height else None


def draw(rules: PictureRules, path: Path, size: Size, placement: Placement, seed: int, epoch: int, key: str) -> Look:
    """Returns the look of one use.

    Args:
        rules: the subset's.
        path: the picture, whose name may tell a face.
        size: width and height of the upright picture in pixels.
        placement: scaling and centred crop, from `Buckets.select`.
        seed: the run's.
        epoch: 1-based.
        key: stable name of the use.
    """
    flip = rules.flip and seeds.python(seed, "flip", epoch, key).random() < 0.5
    if not rules.draws:
        return Look(placement, flip)
    if not rules.variants:
        return replace(_drawn(rules, path, size, placement, seeds.python(seed, "look", epoch, key)), flip=flip)
    number = seeds.python(seed, "variant", epoch, key).randrange(rules.variants)
    return replace(_variant(rules, path, size, placement, seed, number), flip=flip)


def straight(rules: PictureRules, path: Path, size: Size, placement: Placement, seed: int) -> list[Look]:
    """Returns all looks that a picture can have, mirrored ones apart, each once; see `draw` for the arguments.

    Raises:
        ValueError: the rules draw anew for every use.
    """
    if not rules.can_be_cached:
        raise ValueError("Every use of the picture looks different.")
    if not rules.draws:
        return [Look(placement)]
    drawn = (_variant(rules, path, size, placement, seed, number) for number in range(rules.variants))
    return list(dict.fromkeys(drawn))


def _variant(rules: PictureRules, path: Path, size: Size, placement: Placement, seed: int, number: int) -> Look:
    """Returns variant `number` of a picture: named by its file, since a copy of the data set must draw the same."""
    return _drawn(rules, path, size, placement, seeds.python(seed, "look", "variant", path.name, number))


def _drawn(rules: PictureRules, path: Path, size: Size, placement: Placement, rng: random.Random) -> Look:
    hue, gamma = _colours(rng) if rules.color else (0.0, 1.0)
    face = face_of(path) if rules.face_crop else None
    if face and rules.face_crop:
        placement = _around(face, rules.face_crop, rules.random_crop, size, placement, rng)
    elif rules.random_crop:
        placement = _anywhere(placement, rng)
    return Look(placement, hue=hue, gamma=gamma)


def _colours(rng: random.Random) -> tuple[float, float]:
    if rng.random() >= _COLOURED:
        return 0.0, 1.0
    if rng.random() < 0.5:
        return rng.uniform(-_HUE, _HUE), 1.0
    return 0.0, rng.uniform(*_GAMMA)


def _anywhere(placement: Placement, rng: random.Random) -> Placement:
    """Moves the crop anywhere inside the scaled picture, every place being as likely as any other."""
    (width, height), (wide, high) = placement.resized, placement.bucket
    return replace(placement, crop=(rng.randint(0, width - wide), rng.randint(0, height - high)))


def _around(
    face: Face, faces: tuple[float, float], anywhere: bool, size: Size, placement: Placement, rng: random.Random
) -> Placement:
    """Scales and crops around a face.

    The scale is even between the two at which the crop's shorter side is `faces[0]` and `faces[1]` faces long; the
    picture is not enlarged for it and always covers the bucket. The face comes to the middle, as far as the picture
    reaches; with `anywhere`, it comes to any place of the crop in which it is whole.
    """
    covers = placement.resized[0] / size[0], placement.resized[1] / size[1]
    least = max(covers)
    # Closer than the cover only as long as the picture's own pixels last.
    most = max(least, 1.0)
    length = min(placement.bucket) / max(face.width, face.height)
    low, high = (min(max(length / faces[index], least), most) for index in (1, 0))
    scale = rng.uniform(low, high)
    resized = placement.resized if scale == least else _scaled(size, scale, placement.bucket)
    crop = (
        _start(face.x, face.width, resized[0] / size[0], resized[0], placement.bucket[0], anywhere, rng),
        _start(face.y, face.height, resized[1] / size[1], resized[1], placement.bucket[1], anywhere, rng),
    )
    return replace(placement, resized=resized, crop=crop)


def _scaled(size: Size, scale: float, bucket: Size) -> Size:
    return max(bucket[0], int(size[0] * scale + 0.5)), max(bucket[1], int(size[1] * scale + 0.5))


def _start(
    centre: int, extent: int, scale: float, length: int, window: int, anywhere: bool, rng: random.Random
) -> int:
    """Returns where the window begins along one axis of the scaled picture, 0..length - window."""
    last = length - window
    if not anywhere:
        return min(max(0, round(centre * scale - window / 2)), last)
    begin, end = (centre - extent / 2) * scale, (centre + extent / 2) * scale
    first, final = sorted((int(end - window), int(begin)))
    return min(max(0, rng.randint(first, final)), last)
