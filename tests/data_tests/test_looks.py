"""What is drawn for a picture: a pure function of seed and use, and always a crop inside the scaled picture."""
from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data import looks
from lib_trainer.data.buckets import Buckets, Placement
from lib_trainer.data.looks import Face
from lib_trainer.data.picture_rules import Look, PictureRules

PATH = Path("zko.png")
SQUARE = Buckets(128, 128, 64, enabled=False)


def draw(
    rules: PictureRules, size: tuple[int, int] = (300, 200), *, path: Path = PATH, seed: int = 1, epoch: int = 1,
    key: str = "images/zko.png#0", buckets: Buckets = SQUARE,
) -> Look:
    return looks.draw(rules, path, size, buckets.select(*size), seed, epoch, key)


def is_inside(placement: Placement) -> bool:
    return all(crop >= 0 and crop + bucket <= resized for crop, bucket, resized in
               zip(placement.crop, placement.bucket, placement.resized, strict=True))


@pytest.mark.parametrize(("name", "face"), [
    ("zko_100_80_40_60.png", Face(100, 80, 40, 60)), ("a_b_1_2_3_4.jpg", Face(1, 2, 3, 4)),
    ("zko.png", None), ("zko_1_2_3.png", None), ("zko_100_80_0_60.png", None), ("zko_1_2_3_4_.png", None),
])
def test_faces_in_file_names(name: str, face: Face | None) -> None:
    assert looks.face_of(Path(name)) == face


def test_without_rules_nothing_is_drawn() -> None:
    assert draw(PictureRules()) == Look(SQUARE.select(300, 200))


@pytest.mark.parametrize("rules", [
    PictureRules(flip=True), PictureRules(color=True), PictureRules(random_crop=True),
    PictureRules(face_crop=(1.5, 3.0)), PictureRules(flip=True, color=True, random_crop=True, variants=5),
])
def test_a_look_follows_from_seed_epoch_and_key_alone(rules: PictureRules) -> None:
    path = Path("zko_150_100_80_80.png")
    first = [draw(rules, path=path, epoch=epoch) for epoch in range(1, 30)]
    assert first == [draw(rules, path=path, epoch=epoch) for epoch in range(1, 30)]
    assert len(set(first)) > 1
    assert first != [draw(rules, path=path, epoch=epoch, seed=2) for epoch in range(1, 30)]
    assert first != [draw(rules, path=path, epoch=epoch, key="images/other.png#0") for epoch in range(1, 30)]


def test_colours_are_drawn_as_often_as_the_field_does() -> None:
    drawn = [draw(PictureRules(color=True), key=str(number)) for number in range(3000)]
    kinds = Counter("hue" if one.hue else "gamma" if one.gamma != 1 else "none" for one in drawn)
    # 0.165 of 3000 are 495, with a standard deviation of 20: five of them.
    assert abs(kinds["hue"] - 495) < 100 and abs(kinds["gamma"] - 495) < 100
    assert all(abs(one.hue) <= 16 and 0.95 <= one.gamma <= 1.05 for one in drawn)


@given(
    width=st.integers(1, 900), height=st.integers(1, 900), seed=st.integers(0, 2**40), upscale=st.booleans(),
    face=st.none() | st.tuples(*[st.integers(0, 1000)] * 4), low=st.floats(0.1, 10), more=st.floats(0, 10),
    enabled=st.booleans(), random_crop=st.booleans(),
)
def test_every_crop_is_inside(
    width: int, height: int, seed: int, upscale: bool, face: tuple[int, int, int, int] | None, low: float, more: float,
    enabled: bool, random_crop: bool,
) -> None:
    buckets = Buckets(128, 192, 64, enabled=enabled, no_upscale=not upscale)
    path = Path(f"a_{'_'.join(map(str, face))}.png") if face else PATH
    rules = PictureRules(random_crop=random_crop, face_crop=(low, low + more))
    look = draw(rules, (width, height), path=path, seed=seed, buckets=buckets)
    placed = buckets.select(width, height)
    assert is_inside(look.placement)
    assert look.placement.bucket == placed.bucket
    assert all(now >= least for now, least in zip(look.placement.resized, placed.resized, strict=True))


def test_a_random_crop_reaches_both_ends_evenly() -> None:
    starts = Counter(draw(PictureRules(random_crop=True), (132, 128), key=str(number)).placement.crop[0]
                     for number in range(1000))
    # 5 places, 200 each, with a standard deviation of 13: five of them.
    assert sorted(starts) == [0, 1, 2, 3, 4] and all(abs(count - 200) < 65 for count in starts.values())


@pytest.mark.parametrize("random_crop", [False, True])
def test_a_face_is_whole_and_as_big_as_asked_for(random_crop: bool) -> None:
    """In a picture of 2000 x 1000 with a face of 100 px, the crop's side is 2 to 4 faces long."""
    rules = PictureRules(face_crop=(2.0, 4.0), random_crop=random_crop)
    sides, middles = [], set()
    for number in range(200):
        look = draw(rules, (2000, 1000), path=Path("a_700_400_100_80.png"), key=str(number))
        scale = look.placement.resized[0] / 2000
        left, top = look.placement.crop
        assert left <= 650 * scale + 1 and 750 * scale - 1 <= left + 128
        assert top <= 360 * scale + 1 and 440 * scale - 1 <= top + 128
        sides.append(128 / (100 * scale))
        middles.add(round(left + 64 - 700 * scale))
    # Sizes are rounded to pixels: half a pixel of 1000 or so.
    assert 1.99 < min(sides) < 2.1 and 3.8 < max(sides) < 4.01
    assert (len(middles) > 20) if random_crop else max(map(abs, middles)) <= 1


def test_a_picture_is_not_enlarged_for_a_face() -> None:
    look = draw(PictureRules(face_crop=(1.0, 1.0)), (300, 200), path=Path("a_150_100_10_10.png"))
    assert look.placement.resized == (300, 200) and look.placement.crop == (86, 36)


def test_without_a_face_the_crop_is_centred() -> None:
    assert draw(PictureRules(face_crop=(1.0, 2.0))).placement == SQUARE.select(300, 200)


def test_variants_are_few_and_all_of_them_known() -> None:
    rules = PictureRules(color=True, random_crop=True, flip=True, variants=4)
    known = looks.straight(rules, PATH, (300, 200), SQUARE.select(300, 200), 1)
    drawn = {draw(rules, key=str(number)) for number in range(200)}
    assert {one.placement for one in drawn} == {one.placement for one in known} and len(known) == 4
    assert len(drawn) == 8


def test_too_many_looks_to_know() -> None:
    with pytest.raises(ValueError, match="Every use"):
        looks.straight(PictureRules(color=True), PATH, (300, 200), SQUARE.select(300, 200), 1)
