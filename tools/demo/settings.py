"""The numbers that define the demo checkpoint: sizes of its three networks, and how long each is trained.

Widths are narrow, but the topology is that of Stable Diffusion 1.5: 12 input blocks, a middle block and 12 output
blocks with attention in the same places. Every normalisation has 32 groups, as the original classes fix it; widths
below 64 would make that an instance normalisation, which loses the mean colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PICTURE = 64
"""Side of a training picture in pixels; latents are eight times smaller."""

LATENT_SCALE = 0.18215
"""Factor between the autoencoder's latents and those of the U-Net, fixed by Stable Diffusion 1.x."""

ROOT = Path(__file__).resolve().parents[2]
TOKENIZER = ROOT / "lib_trainer" / "assets" / "clip"
ASSETS = ROOT / "lib_trainer" / "assets" / "demo"


@dataclass(frozen=True)
class VaeSettings:
    """The autoencoder and its training."""

    widths: tuple[int, ...] = (64, 64, 64, 64)
    res_blocks: int = 1
    steps: int = 1250
    """Steps of encoder and decoder together."""
    decoder_steps: int = 480
    """Steps of the decoder alone, afterwards."""
    batch: int = 12
    rate: float = 7e-4
    noise: float = 0.1
    """Standard deviation of the noise added to the normalised latents in training; keeps the decoder smooth."""
    seed: int = 11


@dataclass(frozen=True)
class TextSettings:
    """The text encoder and its training."""

    width: int = 64
    layers: int = 4
    heads: int = 4
    steps: int = 800
    batch: int = 96
    rate: float = 2e-3
    seed: int = 12


@dataclass(frozen=True)
class UnetSettings:
    """The U-Net and its training."""

    widths: tuple[int, ...] = (64, 64, 64, 128)
    heads: int = 4
    latents: int = 24_000
    """Distinct pictures whose latents are cached."""
    steps: int = 2700
    batch: int = 64
    rate: float = 1e-3
    warmup: int = 200
    empty: float = 0.1
    """Share of captions left empty, so that classifier-free guidance works."""
    drop: float = 0.08
    """Chance of every tag but the first to be left out of a caption."""
    snr_gamma: float = 5.0
    ema: float = 0.998
    seed: int = 13


@dataclass(frozen=True)
class DetectorSettings:
    """The detector's training."""

    pictures: int = 4000
    """Drawn pictures; their reconstructions double the number."""
    steps: int = 600
    batch: int = 64
    rate: float = 2e-3
    seed: int = 14


VAE = VaeSettings()
TEXT = TextSettings()
UNET = UnetSettings()
DETECTOR = DetectorSettings()
