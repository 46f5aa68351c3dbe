"""Pixels as the VAE sees them."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_trainer.data.buckets import Buckets, Placement
from lib_trainer.data.picture_rules import INTERPOLATIONS, Look, PictureRules
from lib_trainer.data.pictures import load_picture, scale
from lib_trainer.data.scanning.opening import UnreadablePicture
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
    with pytest.raises(UnreadablePicture, match="cut short"):
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


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(16, 16), (200, 200), (16, 200)])
def test_every_interpolation_keeps_one_colour(interpolation: str, size: tuple[int, int]) -> None:
    scaled = scale(Image.new("RGB", (64, 64), (9, 99, 199)), size, interpolation)
    assert scaled.size == size and set(scaled.getdata()) == {(9, 99, 199)}


def test_area_is_the_plain_average_when_shrinking_and_lanczos_when_enlarging(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.png", (64, 64))
    with Image.open(path) as image:
        blocks = np.asarray(image, dtype=np.float64).reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
        # Rounding to a grey level, and Pillow's own to whole weights.
        assert np.abs(np.asarray(scale(image, (8, 8), "area")) - blocks).max() <= 1
        assert scale(image, (128, 128), "area").tobytes() == scale(image, (128, 128), "lanczos").tobytes()


def test_colours_come_after_the_crop_and_before_the_mirror(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.png", (96, 64))
    placement = Buckets(64, 64, 64, enabled=False).select(96, 64)
    plain = load_picture(path, Look(placement))[0]
    look = Look(placement, flip=True, gamma=1.05)
    found = load_picture(path, look)[0]
    assert torch.allclose(found, (((plain + 1) / 2) ** 1.05 * 2 - 1).flip(-1), atol=1e-5)  # float32 twice
    red = load_picture(picture(tmp_path / "b.png", (64, 64), (200, 0, 0)), Look(placement, hue=120.0))[0]
    assert torch.allclose(red[:, 0, 0], torch.tensor([-1, 200 / 127.5 - 1, -1]), atol=1e-5)


def test_transparent_pixels_are_laid_on_the_chosen_colour(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (200, 10, 10, 0)).save(tmp_path / "a.png")
    look = Look(Buckets(64, 64, 64).select(64, 64))
    pixels, alpha = load_picture(tmp_path / "a.png", look, PictureRules(background=(0, 255, 51)))
    assert pixels[:, 0, 0].tolist() == pytest.approx([-1, 1, 51 / 127.5 - 1])
    assert alpha is not None and alpha.getextrema() == (0, 0)
