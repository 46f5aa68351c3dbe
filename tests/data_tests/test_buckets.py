"""Buckets against sd-scripts' numbers, and what must hold for any picture."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.buckets import Buckets, resolutions
from lib_trainer.errors import UserError

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "dataset_vectors.json").read_text(encoding="utf8"))
SIDES = st.integers(1, 6000)


@pytest.mark.parametrize("case", VECTORS["bucket_resolutions"], ids=lambda case: f"{case['max_reso']}/{case['steps']}")
def test_resolutions_match_sd_scripts(case: dict[str, Any]) -> None:
    width, height = case["max_reso"]
    found = resolutions(width, height, case["min"], case["max"], case["steps"])
    assert found == [tuple(size) for size in case["resos"]]


@pytest.mark.parametrize("case", VECTORS["select_bucket"], ids=lambda case: f"{case['max_reso']}{case['no_upscale']}")
def test_selection_matches_sd_scripts(case: dict[str, Any]) -> None:
    width, height = case["max_reso"]
    buckets = Buckets(
        width, height, case["steps"], minimum=case["min"], maximum=case["max"], no_upscale=case["no_upscale"]
    )
    for row in case["rows"]:
        placement = buckets.select(*row["image"])
        assert placement.bucket == tuple(row["bucket"]), row
        assert placement.resized == tuple(row["resized"]), row
        assert placement.ar_error == pytest.approx(row["ar_error"], abs=1e-12), row


def test_crop_is_on_the_axis_that_is_cropped() -> None:
    # training-reference 15.3: sd-scripts reports (top 6, left 0) for this very picture.
    placement = Buckets(1024, 1024, 64, minimum=256, maximum=2048).select(1920, 1080)
    assert (placement.bucket, placement.resized, placement.crop) == ((1344, 768), (1365, 768), (10, 0))


@pytest.mark.parametrize(
    ("size", "asked", "limits"),
    [
        ((512, 512), (0, 0), (256, 1024)),
        ((512, 768), (0, 0), (256, 1536)),
        ((128, 128), (0, 0), (64, 256)),
        ((64, 64), (0, 0), (64, 128)),
        ((96, 96), (0, 0), (64, 192)),
        ((512, 512), (300, 1000), (256, 1024)),
        ((512, 512), (320, 1536), (320, 1536)),
    ],
)
def test_limits(size: tuple[int, int], asked: tuple[int, int], limits: tuple[int, int]) -> None:
    buckets = Buckets(*size, 64, minimum=asked[0], maximum=asked[1])
    assert (buckets.minimum, buckets.maximum) == limits


@pytest.mark.parametrize(
    ("minimum", "maximum", "words"),
    [
        (640, 1024, "below the smallest bucket side 640"),
        (256, 448, "above the largest bucket side 448"),
        (8, 0, "64 or more"),
    ],
)
def test_limits_that_exclude_the_resolution(minimum: int, maximum: int, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Buckets(512, 512, 64, minimum=minimum, maximum=maximum)


def test_without_buckets_everything_is_cropped_to_the_resolution() -> None:
    placement = Buckets(512, 520, 64, enabled=False).select(1000, 2000)
    assert (placement.bucket, placement.resized, placement.crop) == ((512, 520), (512, 1024), (0, 252))


def test_resolution_beside_the_step_is_explained() -> None:
    assert "512x512" in Buckets(520, 520, 64).notes[0]
    assert Buckets(512, 512, 64).notes == []
    assert Buckets(520, 520, 64, enabled=False).notes == []


@pytest.mark.parametrize("picture", [(100, 40), (63, 500), (1, 1), (5000, 10), (6000, 1), (10000, 100)])
def test_never_enlarge_keeps_a_side_of_one_step(picture: tuple[int, int]) -> None:
    # training-reference 2.2: sd-scripts gives such a picture a bucket of side 0 and crashes.
    placement = Buckets(512, 512, 64, no_upscale=True).select(*picture)
    assert min(placement.bucket) >= 64
    assert placement.bucket[0] * placement.bucket[1] <= 512 * 512


def test_a_narrow_picture_keeps_as_much_as_fits() -> None:
    placement = Buckets(512, 512, 64, no_upscale=True).select(100, 40)
    assert (placement.bucket, placement.resized) == ((128, 64), (160, 64))


@given(
    width=SIDES, height=SIDES, no_upscale=st.booleans(), enabled=st.booleans(), resolution=st.sampled_from([128, 512])
)
def test_every_picture_covers_its_bucket(
    width: int, height: int, no_upscale: bool, enabled: bool, resolution: int
) -> None:
    placement = Buckets(resolution, resolution, 64, enabled=enabled, no_upscale=no_upscale).select(width, height)
    for side in (0, 1):
        assert placement.bucket[side] % 64 == 0
        assert placement.bucket[side] >= 64
        overhang = placement.resized[side] - placement.bucket[side]
        assert overhang >= 0
        assert placement.crop[side] == overhang // 2
