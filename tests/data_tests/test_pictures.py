"""Pixels as the VAE sees them."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_trainer.data.buckets import Buckets, Placement
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.pictures import load_picture
from lib_trainer.errors import UserError
from tests.data_tests.drawn import noisy, picture, truncate


def load_pixels(path: Path, placement: Placement, flip: bool = False) -> torch.Tensor:
    return load_picture(path, Look(placement, flip))[0]


def test_range_shape_and_channel_order(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", (100, 200), (255, 0, 51))
    pixels = load_pixels(path, Buckets(128, 128, 64).select(100, 200))
    assert (pixels.shape, pixels.dtype) == ((3, 192, 64), torch.float32)
    assert torch.equal(pixels[:, 0, 0], torch.tensor([1.0, -1.0, 51 / 127.5 - 1]))
    assert pixels.is_contiguous()


def test_flip_mirrors_what_was_cropped(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.png", (131, 64))
    placement = Buckets(64, 64, 64, enabled=False).select(131, 64)
    straight, mirrored = load_pixels(path, placement), load_pixels(path, placement, flip=True)
    assert torch.equal(mirrored, straight.flip(-1))


def test_no_scaling_is_exact(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.png", (64, 64))
    pixels = load_pixels(path, Buckets(64, 64, 64).select(64, 64))
    with Image.open(path) as image:
        red = image.getpixel((5, 9))[0]
    assert pixels[0, 9, 5].item() == pytest.approx(red / 127.5 - 1, abs=1e-6)


def test_shrinking_averages(tmp_path: Path) -> None:
    # A checkerboard of single pixels shrunk 8 times must be grey; picking single pixels would keep black and white.
    image = Image.new("L", (512, 512))
    image.putdata([255 * ((x + y) % 2) for y in range(512) for x in range(512)])
    image.save(tmp_path / "a.png")
    pixels = load_pixels(tmp_path / "a.png", Buckets(64, 64, 64).select(512, 512))
    # One grey level of 255 is 0.008 of the range; the borders see half a window.
    assert pixels[:, 2:-2, 2:-2].abs().max() < 0.02


def test_broken_picture(tmp_path: Path) -> None:
    path = truncate(noisy(tmp_path / "a.png"))
    with pytest.raises(UserError, match=r"a\.png"):
        load_pixels(path, Buckets(64, 64, 64).select(64, 64))


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300), no_upscale=st.booleans())
def test_any_size_fits_its_bucket(
    width: int, height: int, no_upscale: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = picture(tmp_path_factory.mktemp("p") / "a.bmp", (width, height))
    placement = Buckets(128, 128, 64, no_upscale=no_upscale).select(width, height)
    pixels = load_pixels(path, placement)
    assert pixels.shape == (3, placement.bucket[1], placement.bucket[0])
