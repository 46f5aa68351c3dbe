"""What is done to the pictures of a subset, and what was drawn for one use of one picture.

`PictureRules` are a person's wishes; a `Look` is what came of them for one use: scaling and crop, mirrored or not,
colours. Everything random about a picture is in its `Look`, and a look is a pure function of the run's seed and of the
use (`looks.draw`), so a picture, its mask and the sizes that SDXL is told always belong together, and any step can be
made again alone.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib_trainer.data.buckets import Placement

Colour = tuple[int, int, int]
"""Red, green, blue, each 0..255."""

WHITE: Colour = (255, 255, 255)

INTERPOLATIONS = ("lanczos", "area", "bicubic", "bilinear", "box", "nearest")
"""How pictures may be scaled; the first one is the default."""


@dataclass(frozen=True)
class PictureRules:
    """What is done to the pictures of a subset.

    Attributes:
        flip: half the uses are mirrored.
        color: a third of the uses get a slightly other hue or gamma.
        random_crop: the overhang is cut off anywhere instead of evenly.
        face_crop: least and greatest length of the crop's shorter side, in faces, for pictures whose file name ends in
            a face box `_cx_cy_w_h`; None = no face crop.
        alpha_mask: the alpha channel says where the picture counts.
        mask_folder: pictures of the same stem say (red channel) where the picture counts; None = no such masks.
        background: what transparent pixels are laid on.
        interpolation: one of `INTERPOLATIONS`.
        variants: 0 = every use draws anew. N = colours and crops of a picture are drawn N times in all, so that its
            latents can be cached.
    """

    flip: bool = False
    color: bool = False
    random_crop: bool = False
    face_crop: tuple[float, float] | None = None
    alpha_mask: bool = False
    mask_folder: Path | None = None
    background: Colour = WHITE
    interpolation: str = INTERPOLATIONS[0]
    variants: int = 0

    @property
    def draws(self) -> bool:
        """Whether colours or crop of a picture are drawn at random; mirroring, which has two outcomes, apart."""
        return self.color or self.random_crop or self.face_crop is not None

    @property
    def can_be_cached(self) -> bool:
        """Whether a picture has few enough looks to keep the latents of all of them."""
        return not self.draws or self.variants > 0

    @property
    def has_masks(self) -> bool:
        """Whether parts of a picture may count less than others."""
        return self.alpha_mask or self.mask_folder is not None


@dataclass(frozen=True)
class Look:
    """What was drawn for one use of one picture: it is scaled and cropped, then coloured, then mirrored.

    Attributes:
        placement: scaling and crop of this use.
        flip: whether the crop is mirrored.
        hue: turn of the colour wheel in degrees, -16..16; 0 = none.
        gamma: exponent of the colours in 0..1; 1 = none.
    """

    placement: Placement
    flip: bool = False
    hue: float = 0.0
    gamma: float = 1.0
