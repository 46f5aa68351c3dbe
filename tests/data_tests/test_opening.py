"""Opening pictures: orientation, transparency, depth, broken files."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from lib_trainer.data.scanning.opening import UnreadablePicture, open_rgb, open_rgb_and_alpha, read_size
from tests.data_tests.drawn import noisy, truncate


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_as_pillow_does_it(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, exif=exif)
    with Image.open(path) as image:
        expected = ImageOps.exif_transpose(image)
    found = open_rgb(path)
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    assert found.size == read_size(path)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    # training-reference 15.9: sd-scripts drops alpha and shows the hidden red.
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    image.save(tmp_path / "a.png")
    found = open_rgb(tmp_path / "a.png")
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((1, 0)) == (127, 127, 127)
    blue, alpha = open_rgb_and_alpha(tmp_path / "a.png", None, (0, 0, 255))
    assert blue.getpixel((0, 0)) == (0, 0, 255)
    assert alpha is not None and alpha.getpixel((1, 0)) == 128


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (8, 8)).save(path)
    assert open_rgb(path).mode == "RGB"


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    found = open_rgb(tmp_path / "a.png")
    assert (found.getpixel((0, 0)), found.getpixel((1, 0))) == ((255, 255, 255), (0, 255, 0))


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    found = open_rgb(tmp_path / "a.png")
    assert [found.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (100, 100, 100), (255, 255, 255)]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp"])
def test_truncated_files_are_recognised(ending: str, tmp_path: Path) -> None:
    path = truncate(noisy(tmp_path / f"a.{ending}"))
    with pytest.raises(UnreadablePicture):
        open_rgb(path)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM", b"RIFF\x04\0\0\0WEBP"]
)
def test_rubbish_has_a_reason(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (read_size, open_rgb):
        with pytest.raises(UnreadablePicture) as caught:
            read(path)
        assert str(caught.value)


def test_a_vanished_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match="cannot be read"):
        open_rgb(tmp_path / "a.png")
