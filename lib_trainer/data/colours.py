"""Changing the colours of a picture a little: hue and gamma, in floating point, on arrays."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
"""(H, W, 3) red, green, blue in 0..1."""


def turn_hue(pixels: Pixels, degrees: float) -> Pixels:
    """Turns the colour wheel; saturation and value of HSV stay as they are.

    A. R. Smith, "Color gamut transform pairs", 1978: with value V, chroma C and hue H in sixths of a turn, a channel is
    V - C * max(0, min(k, 4 - k, 1)), k = (n + H) mod 6, n = 5, 3, 1 for red, green, blue.
    """
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    value = pixels.max(axis=-1)
    chroma = value - pixels.min(axis=-1)
    # Grey has no hue, and any serves: its chroma is 0.
    safe = np.where(chroma > 0, chroma, np.float32(1))
    hue = np.where(
        value == red, (green - blue) / safe,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    ) + np.float32(degrees / 60)
    shades = [(n + hue) % 6 for n in (5, 3, 1)]
    return np.stack(
        [value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1) for k in shades], axis=-1
    ).astype(np.float32)


def apply_gamma(pixels: Pixels, gamma: float) -> Pixels:
    """Raises every channel to a power: black and white stay, what is between becomes darker above 1."""
    return np.power(pixels, np.float32(gamma), dtype=np.float32)
