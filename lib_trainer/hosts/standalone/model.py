"""The leased model of the embedded host: what training needs of an SD 1.x checkpoint, over diffusers networks."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from lib_trainer.host import Checkpoint, Conditioning, Picture, PreviewRequest, Target
from lib_trainer.hosts.standalone import layers
from lib_trainer.hosts.standalone.loader import LoadedModel
from lib_trainer.hosts.standalone.text_states import encode_captions


class StandaloneModel:
    """`HostModel` over a `LoadedModel`; see the port for every method's contract."""

    def __init__(self, loaded: LoadedModel, draw: Callable[[PreviewRequest], Picture]) -> None:
        self._loaded = loaded
        self._draw = draw

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint these weights came from."""
        return self._loaded.checkpoint

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self._loaded.device

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype of U-Net and text encoder."""
        return self._loaded.compute_dtype

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """(1000,) float32, descending in (0, 1)."""
        return self._loaded.alphas_cumprod

    def targets(self) -> list[Target]:
        """Every adaptable layer: the text encoder's, then the U-Net's."""
        return list(self._loaded.targets)

    def other_targets(self) -> list[Target]:
        """Layers that only a LoRA file may change."""
        trained = {target.name for target in self._loaded.targets}
        return [target for target in self._loaded.loadable if target.name not in trained]

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the posterior, in float32 even under autocast."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            posterior = self._loaded.vae.encode(pixels.to(self.device, torch.float32)).latent_dist
        return posterior.mean, posterior.std

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False
    ) -> Conditioning:
        """Encodes captions literally; states (B, 75 * chunks + 2, C)."""
        ids = self._loaded.tokenizer.captions(captions, chunks)
        with nullcontext() if grad else torch.no_grad():
            return Conditioning(hidden=encode_captions(self._loaded.text_encoder, ids, clip_skip))

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        """Runs the U-Net in its own dtype; returns float32 (B, 4, h, w)."""
        return self._loaded.predict(noisy, timesteps, cond.hidden)

    def checkpointing(self) -> AbstractContextManager[None]:
        """Recomputes activations of U-Net and text encoder in backward while open."""
        return layers.checkpointing(self._loaded.unet, self._loaded.text_encoder)

    def preview(self, request: PreviewRequest) -> Picture:
        """Draws one picture inside this turn."""
        return self._draw(request)
