"""From a picture file to the tensor the VAE sees: upright, scaled, cropped, recoloured, mirrored, in [-1, 1].

Scaling is Pillow's Lanczos in both directions unless the person chose another: when shrinking it averages over all
pixels that fall into a new one, so that fine lines do not flicker. ("area" is what sd-scripts does untold: the plain
average when shrinking, Lanczos when enlarging; a little softer.)
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib_trainer.data import colours, masks
from lib_trainer.data.buckets import Size
from lib_trainer.data.picture_rules import Look, PictureRules
from lib_trainer.data.scanning.opening import open_rgb_and_alpha

_PLAIN = PictureRules()
_RESAMPLING = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}


def load_picture(
    path: Path, look: Look, rules: PictureRules = _PLAIN, *, content: bytes | None = None
) -> tuple[torch.Tensor, Image.Image | None]:
    """Loads one picture as it looks in one use.

    Args:
        path: the picture file.
        look: what was drawn for it.
        rules: background and interpolation of its subset.
        content: the file's bytes where the caller has read them already.

    Returns:
        (3, H, W) float32 in [-1, 1], H and W of the bucket; and the whole picture's alpha channel, None without one.

    Raises:
        UnreadablePicture: not a picture, broken or cut short.
    """
    image, alpha = open_rgb_and_alpha(path, content, rules.background)
    (left, top), (width, height) = look.placement.crop, look.placement.bucket
    scaled = scale(image, look.placement.resized, rules.interpolation)
    cut = np.asarray(scaled.crop((left, top, left + width, top + height)), dtype=np.float32)
    tensor = torch.from_numpy(_coloured(cut, look) / 127.5 - 1.0).permute(2, 0, 1)
    return (tensor.flip(-1) if look.flip else tensor).contiguous(), alpha


def scale(image: Image.Image, size: Size, interpolation: str) -> Image.Image:
    """Scales a picture; `interpolation` is one of `picture_rules.INTERPOLATIONS`."""
    if image.size == size:
        return image
    if interpolation == "area":
        shrinks = size[0] <= image.width and size[1] <= image.height
        interpolation = "box" if shrinks else "lanczos"
    return image.resize(size, _RESAMPLING[interpolation])


def _coloured(pixels: colours.Pixels, look: Look) -> colours.Pixels:
    """Returns pixels (H, W, 3) in 0..255 with the look's colours."""
    if look.hue:
        pixels = colours.turn_hue(pixels / 255.0, look.hue) * 255.0
    if look.gamma != 1.0:
        pixels = colours.apply_gamma(pixels / 255.0, look.gamma) * 255.0
    return pixels


def load_mask(
    mask_file: Path | None, look: Look, rules: PictureRules, alpha: Image.Image | None = None
) -> torch.Tensor:
    """Returns where a picture counts in one use, (1, h, w) float32 in 0..1; a mask file goes before the alpha channel.

    Args:
        mask_file: the picture's mask in a folder, None = its subset has no such folder.
        look: what was drawn for it. rules: its subset's.
        alpha: the picture's alpha channel where the caller has decoded it.
    """
    if mask_file is not None:
        return masks.placed(masks.open_mask(mask_file), look)
    return masks.placed(alpha if rules.alpha_mask else None, look)
