"""The leased model of the embedded host: what training needs of a checkpoint, over diffusers networks."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from lib_trainer.host_model import Checkpoint, Conditioning, Picture, PreviewRequest, Target
from lib_trainer.hosts.recompute import recomputed
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.placement import TEXT, UNET


class StandaloneModel:
    """`HostModel` over a `LoadedModel`; see the port for every method's contract."""

    def __init__(
        self, loaded: LoadedModel, draw: Callable[[PreviewRequest], Picture],
        unet: Callable[[], Callable[..., Any]],
    ) -> None:
        """Lends a model.

        Args:
            loaded: the model.
            draw: draws a preview.
            unet: gives what is called for its U-Net in a step.
        """
        self._loaded = loaded
        self._draw = draw
        self._unet = unet
        self._for_backward: set[str] = set()

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint these weights came from."""
        return self._loaded.checkpoint

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return self._loaded.device

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype in which U-Net and text encoders run."""
        return self._loaded.compute_dtype

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """(1000,) float32, descending in (0, 1)."""
        return self._loaded.alphas_cumprod

    def targets(self) -> list[Target]:
        """Every adaptable layer: the text encoders', then the U-Net's."""
        return list(self._loaded.targets)

    def other_targets(self) -> list[Target]:
        """Layers that only a LoRA file may change."""
        trained = {target.name for target in self._loaded.targets}
        return [target for target in self._loaded.loadable if target.name not in trained]

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the posterior, in float32 even under autocast."""
        return self._loaded.encode(pixels)

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False, weighted: bool = False
    ) -> Conditioning:
        """Encodes captions literally; states (B, 75 * chunks + 2, C), the pooled vector that of the first chunk."""
        self._bring(TEXT, grad)
        with nullcontext() if grad else torch.no_grad():
            return self._loaded.text.captions(captions, clip_skip, chunks, weighted)

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        """Runs the U-Net in its own dtype; returns float32 (B, 4, h, w)."""
        self._bring(UNET, torch.is_grad_enabled())
        return self._loaded.predict(noisy, timesteps, cond, self._unet())

    def _bring(self, part: str, grad: bool) -> None:
        """Has a network where it runs, beside those that this turn's backward pass will need."""
        if grad:
            self._for_backward.add(part)
        self._loaded.placement.bring(part, *self._for_backward)

    def checkpointing(self) -> AbstractContextManager[None]:
        """Recomputes activations of U-Net and text encoders in backward while open."""
        return recomputed(self._loaded.blocks, self._loaded.recomputing)

    def preview(self, request: PreviewRequest) -> Picture:
        """Draws one picture inside this turn."""
        return self._draw(request)
