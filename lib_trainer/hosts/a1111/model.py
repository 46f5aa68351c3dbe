"""The leased model of AUTOMATIC1111: what training needs of the checkpoint in memory, through the host's own calls."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from lib_trainer.host_model import Checkpoint, Conditioning, Picture, PreviewRequest, Target
from lib_trainer.hosts.a1111.loaded import Loaded
from lib_trainer.hosts.a1111.text import States, TextEncoder
from lib_trainer.hosts.captions import join_chunks, weighed
from lib_trainer.hosts.recompute import recomputed
from lib_trainer.hosts.size_ids import vector
from lib_trainer.hosts.webui import autoencoder


class A1111Model:
    """`HostModel` over a `Loaded`; see the port for every method's contract."""

    def __init__(self, loaded: Loaded, draw: Callable[[PreviewRequest], Picture]) -> None:
        """Wraps the model for one turn; `draw` draws with the model as the host draws with it."""
        self._loaded = loaded
        self._draw = draw

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint these weights came from."""
        return self._loaded.checkpoint

    @property
    def device(self) -> torch.device:
        """Where the U-Net is."""
        return next(self._loaded.unet.parameters()).device

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype of the host's U-Net; what it casts to where weights are stored in float8."""
        from modules import devices

        if devices.fp8:
            return torch.bfloat16 if self.device.type == "cpu" else devices.dtype
        return devices.dtype_unet

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """(1000,) float32 of the checkpoint itself, before the overrides of the settings."""
        model = self._loaded.sd_model
        table = getattr(model, "alphas_cumprod_original", model.alphas_cumprod)
        return table.detach().to(self.device, torch.float32)

    def targets(self) -> list[Target]:
        """Every adaptable layer: the text encoders', then the U-Net's."""
        return list(self._loaded.targets)

    def other_targets(self) -> list[Target]:
        """Layers that no training adapts but a LoRA file may change."""
        return self._loaded.other_targets()

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the posterior, computed in the VAE's dtype, or in
        float32 where that overflows, as SDXL's own does.
        """
        vae: Any = self._loaded.vae
        weight = next(vae.parameters())
        mean, std = autoencoder.posterior(vae, pixels.to(weight.device, weight.dtype))
        return mean, std

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False, weighted: bool = False
    ) -> Conditioning:
        """Encodes captions literally; states (B, 75 * chunks + 2, C), the pooled vector that of the first chunk."""
        from modules import devices

        with nullcontext() if grad else torch.no_grad(), devices.autocast():
            said = [self._encode(encoder, captions, clip_skip, chunks, weighted) for encoder in self._loaded.encoders]
        pooled = [states.pooled for states in said if states.pooled is not None]
        hidden = torch.cat([states.hidden for states in said], dim=-1) if len(said) > 1 else said[0].hidden
        return Conditioning(hidden, pooled=pooled[0] if pooled else None)

    def _encode(
        self, encoder: TextEncoder, captions: Sequence[str], clip_skip: int, chunks: int, weighted: bool
    ) -> States:
        from modules.sd_hijack import model_hijack

        ids = encoder.ids(captions, chunks, weighted).to(self.device)
        model_hijack.fixes = None  # embeddings of a prompt whose generation broke off would be put into our captions
        states = encoder.encode(ids.flatten(0, 1), clip_skip)
        pooled = None if states.pooled is None else states.pooled[::chunks]
        hidden = join_chunks(states.hidden.unflatten(0, ids.shape[:2]))
        return States(weighed(hidden, encoder.tokenize, captions) if weighted else hidden, pooled)

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        """Runs the U-Net through the host's own casts; returns float32 (B, 4, h, w)."""
        device, hidden = self.device, cond.hidden.to(self.device)
        given: dict[str, object] = {"c_crossattn": [hidden]}
        if self.checkpoint.family.has_size_ids:
            if cond.pooled is None or cond.sizes is None:
                raise ValueError("SDXL needs the pooled vector and the sizes of every picture.")
            given = {"crossattn": hidden, "vector": vector(cond.pooled.to(device), cond.sizes.to(device))}
        return self._loaded.sd_model.apply_model(noisy.to(device), timesteps.to(device), given).float()

    def checkpointing(self) -> AbstractContextManager[None]:
        """Recomputes activations of U-Net and text encoders in backward while open."""
        return recomputed(self._loaded.blocks)

    def preview(self, request: PreviewRequest) -> Picture:
        """Draws one picture inside this turn."""
        return self._draw(request)
