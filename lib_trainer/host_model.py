"""The model as a host lends it for a turn: what it must offer to be trained on, and what passes in and out of it.

Layers to adapt, captions and pictures to encode, noisy latents to say something of, a preview to draw. A `HostModel` is
valid inside a turn only (`host.Lease`). Nothing here imports a host.
"""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from lib_trainer.families.family import Family


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint that is loaded.

    Attributes:
        name: file name with suffix, as shown to people and written to `ss_sd_model_name`.
        path: the file, or None when the host cannot tell.
        family: its family record.
        resolution: native picture size in pixels (512 for SD 1.x; a narrow model may have its own).
        prediction: "epsilon" or "v".
        zero_terminal_snr: whether its noise schedule ends in pure noise.
    """

    name: str
    path: Path | None
    family: Family
    resolution: int
    prediction: str
    zero_terminal_snr: bool = False


@dataclass(frozen=True)
class Target:
    """A layer that can be adapted.

    Attributes:
        name: kohya layer name, such as "lora_unet_mid_block_attentions_0_proj_in".
        module: the host's layer (Linear-, Conv2d- or norm-like: has `weight`, is called with one tensor).
        rows: of a projection fused into a bigger weight, the output rows that are this layer's; None = all.
    """

    name: str
    module: torch.nn.Module
    rows: slice | None = None


@dataclass(frozen=True)
class Conditioning:
    """What the U-Net is told about a batch of captions.

    Attributes:
        hidden: text states (B, T, C).
        pooled: pooled vector (B, P) where the family has one.
        sizes: (B, 6) float32 in pixels where the family has size ids: original height and width, top and left of the
            crop, height and width of what is trained on.
    """

    hidden: torch.Tensor
    pooled: torch.Tensor | None = None
    sizes: torch.Tensor | None = None


@dataclass(frozen=True)
class PreviewRequest:
    """One picture to draw through the host's own pipeline.

    Attributes:
        prompt: prompt in the host's own grammar (emphasis, LoRA tags).
        seed: seed of the picture, >= 0.
        width: pixels, a multiple of 8; 0 = the checkpoint's own size. `height` likewise.
        sampler: sampler name of the host; "" = the host's default.
        like_txt2img: take everything but seed and prompt from the last picture of the host's txt2img tab (hires fix,
            styles, scripts included), whose prompt stands for an empty one. Hosts without such a tab ignore it.
        explicit: names of fields that are not taken from there all the same.
        prediction: "epsilon" or "v", "" = as the checkpoint says. `zero_terminal_snr`: likewise "on", "off" or "auto".
    """

    prompt: str
    negative: str = ""
    seed: int = 1
    steps: int = 20
    cfg: float = 7.0
    width: int = 0
    height: int = 0
    sampler: str = ""
    clip_skip: int = 1
    like_txt2img: bool = False
    explicit: frozenset[str] = frozenset()
    prediction: str = ""
    zero_terminal_snr: str = "auto"


@dataclass(frozen=True)
class Picture:
    """A drawn picture, its infotext, what the person must be told, and where the host saved it (not so of previews)."""

    image: Image
    infotext: str
    comments: list[str] = field(default_factory=list)
    file: Path | None = None


class HostModel(Protocol):
    """The leased model, valid inside a turn only."""

    @property
    def checkpoint(self) -> Checkpoint: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype in which the host runs its U-Net (its storage dtype unless it casts)."""

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """The noise schedule of this checkpoint: (1000,) float32, descending in (0, 1)."""

    def targets(self) -> list[Target]:
        """Every layer that may be trained on (attention, text encoder, convolutions), in model order."""

    def other_targets(self) -> list[Target]:
        """Layers that no training adapts but a LoRA may change: norms, the time embedding, the first and last."""

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the VAE posterior, unscaled; NaN = overflow.

        `pixels`: (B, 3, H, W) float32 in [-1, 1]; H and W multiples of 8.
        """

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False, weighted: bool = False
    ) -> Conditioning:
        """Encodes captions taken literally: parentheses, BREAK, AND, embedding names mean nothing.

        Args:
            captions: B captions.
            clip_skip: 1 = last layer, 2 = the one before, ...; final LayerNorm applied.
            chunks: 1, 2 or 3 pieces of 75 tokens (kohya's max_token_length 75, 150, 225): states (B, 75*chunks+2, C).
            grad: whether gradients must flow into the encoder's adapters.
            weighted: whether `(word:1.3)`, `(word)`, `[word]` multiply the states of their tokens; all else is literal.
        """

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        """Runs the U-Net: noisy (B, 4, h, w) scaled latents, timesteps (B,) int64 -> (B, 4, h, w)."""

    def checkpointing(self) -> AbstractContextManager[None]:
        """While open, U-Net and text encoder recompute activations in backward (non-reentrant) to save memory."""

    def preview(self, request: PreviewRequest) -> Picture:
        """Draws through the host's own pipeline inside this turn, with whatever adapters are attached now."""
