"""Opening picture files: upright, RGB, on a white ground, or with a reason why it cannot be done.

Cameras store a photo lying on its side with a note how to turn it (EXIF orientation), drawings have transparent
backgrounds with stray colours under them, files end in the middle. All that is settled here, once, with Pillow; the
tensors are made in `pictures.py`.
"""
from __future__ import annotations

import io
import struct
from pathlib import Path

from PIL import Image

from lib_trainer.data.picture_rules import WHITE, Colour

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation (1 = upright already)."""

_SIDEWAYS = (5, 6, 7, 8)
# What Pillow's decoders raise for broken files: SyntaxError from PNG chunks, struct.error and IndexError from headers.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


class UnreadablePicture(Exception):
    """A file that cannot be used as a picture; the text is the reason, for a list of skipped files."""


def read_size(path: Path) -> tuple[int, int]:
    """Returns width and height of the upright picture, from the header alone.

    Raises:
        UnreadablePicture: not a picture, or its header is broken.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = _orientation(image) in _SIDEWAYS
    except _BROKEN as error:
        raise UnreadablePicture(_reason(path, error)) from None
    return (height, width) if sideways else (width, height)


def open_rgb(path: Path, content: bytes | None = None) -> Image.Image:
    """Decodes a picture completely: first frame, upright, RGB, transparency laid on white.

    Args:
        path: the file, also named in the reason of a failure.
        content: the file's bytes where the caller has read them already.

    Raises:
        UnreadablePicture: not a picture, broken or cut short.
    """
    return _flatten(_decoded(path, content), WHITE)


def open_rgb_and_alpha(path: Path, content: bytes | None, background: Colour) -> tuple[Image.Image, Image.Image | None]:
    """Decodes a picture as `open_rgb` does, and its alpha channel ("L"), None where it has none.

    Args:
        path: the file. content: its bytes where the caller has read them already.
        background: colour (0..255) under transparent pixels. kohya drops alpha and so uncovers hidden colours.

    Raises:
        UnreadablePicture: not a picture, broken or cut short.
    """
    image = _decoded(path, content)
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    return _flatten(image, background), alpha


def open_small(path: Path, side: int, background: Colour = WHITE) -> Image.Image:
    """Decodes a picture for a thumbnail: as `open_rgb`, its longer side `side` pixels at most.

    A JPEG is decoded at an eighth to a half of its size where that is enough, which takes a fraction of the time.

    Raises:
        UnreadablePicture: not a picture, broken or cut short.
    """
    small = _flatten(_decoded(path, None, 2 * side), background)
    small.thumbnail((side, side))
    return small


def open_red(path: Path) -> Image.Image:
    """Decodes a mask completely: the red channel ("L") of its first frame, upright; see `open_rgb`.

    Raises:
        UnreadablePicture: not a picture, broken or cut short.
    """
    return open_rgb(path).getchannel("R")


def _decoded(path: Path, content: bytes | None, draft: int = 0) -> Image.Image:
    """Decodes a picture completely: first frame, upright, 8 bits; at `draft` pixels or more, 0 = its own size."""
    try:
        with Image.open(path if content is None else io.BytesIO(content)) as image:
            # Asked before decoding, as `read_size` does, so that both see the same orientation.
            turn = _UPRIGHT.get(_orientation(image))
            if draft:
                image.draft(None, (draft, draft))
            image.load()
            found = _eight_bit(image)
            # Converted here, where the file is open still and a broken palette is told like all other damage.
            found = found.convert("RGBA" if _is_transparent(found) else "RGB")
    except _BROKEN as error:
        raise UnreadablePicture(_reason(path, error)) from None
    return found if turn is None else found.transpose(turn)


def _orientation(image: Image.Image) -> int:
    # Not `image.getexif()`: PngImageFile's own version decodes the whole picture first.
    value = Image.Image.getexif(image).get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scales 16-bit greys to 8 bits; Pillow's own conversion cuts everything above 255 to white."""
    if not image.mode.startswith("I"):
        return image
    return image.convert("I").point(lambda value: value / 257).convert("L")


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _flatten(image: Image.Image, background: Colour) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(ground, image).convert("RGB")


def _reason(path: Path, error: BaseException) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "it has too many pixels to be opened safely; make it smaller"
    try:
        size = path.stat().st_size
    except OSError as missing:
        return f"it cannot be read ({missing.strerror})"
    if size == 0:
        return "the file is empty"
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is not a picture in a known format"
    return f"it is broken or cut short ({error})"
