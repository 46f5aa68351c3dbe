"""The leased model of Forge: what training needs of the checkpoint in memory, over Forge's own networks.

Networks are placed when a step first needs them, so caching latents does not push the U-Net out of a small GPU and the
other way round. Forge moves networks by swapping their tensors, therefore the aliases of a turn (see `webui.lending`)
are given back before Forge is asked to place something and made anew afterwards. They are made for the networks that
gradients flow through, and for no others: without gradients Forge's inference tensors serve as they are.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from lib_trainer.host_model import Checkpoint, Conditioning, Picture, PreviewRequest, Target
from lib_trainer.hosts import size_ids
from lib_trainer.hosts.forge import blocks, text
from lib_trainer.hosts.forge.loaded import Loaded
from lib_trainer.hosts.forge.placement import Placement, is_clean
from lib_trainer.hosts.recompute import recomputed
from lib_trainer.hosts.webui import autoencoder
from lib_trainer.hosts.webui.lending import aliased, flags_lent, weights_of

_ACTIVATIONS = 400_000
"""Numbers that a training step keeps per latent pixel, about: SD 1.5 at 512 px peaks 6.5 GB above its float32 weights.
"""


class ForgeModel:
    """`HostModel` over a `Loaded`; see the port for every method's contract."""

    def __init__(self, loaded: Loaded, placement: Placement, draw: Callable[[PreviewRequest], Picture]) -> None:
        self._loaded = loaded
        self._placement = placement
        self._draw = draw
        self._flags = ExitStack()
        self._aliases = ExitStack()
        self._with_gradients: list[Any] = []

    @contextmanager
    def turn(self) -> Iterator[ForgeModel]:
        """Takes merged LoRAs out and lends the networks while open."""
        merged = [patcher for patcher in (self._loaded.unet, self._loaded.clip.patcher) if not is_clean(patcher)]
        if merged:
            self._placement.place(merged, 0)
        try:
            self._take()
            yield self
        finally:
            self._give_back()

    def _take(self) -> None:
        """Makes the networks fit for training; aliases come only where gradients are asked for (see `_place`)."""
        modules = self._loaded.modules
        self._flags.enter_context(flags_lent(modules, weights_of(modules)))
        self._flags.enter_context(blocks.out_of_place(self._loaded.transformer_blocks))
        self._alias(self._with_gradients)

    def _give_back(self) -> None:
        self._aliases.close()
        self._flags.close()

    def _alias(self, patchers: Sequence[Any]) -> None:
        for patcher in patchers:
            self._aliases.enter_context(aliased(self._loaded.modules_of(patcher)))

    def _place(self, patcher: Any, memory: int, grad: bool) -> None:
        """Makes sure that a network is where it runs, beside those that this turn's backward pass will need."""
        is_new = grad and patcher not in self._with_gradients
        if is_new:
            self._with_gradients.append(patcher)
        together = [patcher, *(other for other in self._with_gradients if other is not patcher)]
        if not self._placement.is_settled(together, memory):
            self._aliases.close()
            self._placement.place(together, memory)
            self._alias(self._with_gradients)
        elif is_new:
            self._alias([patcher])

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint these weights came from."""
        return self._loaded.checkpoint

    @property
    def device(self) -> torch.device:
        """Where Forge runs the U-Net."""
        return self._loaded.unet.load_device

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype in which Forge runs the U-Net, whatever it is stored in."""
        return self._loaded.compute_dtype

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """(1000,) float32, descending in (0, 1)."""
        return self._loaded.alphas_cumprod

    def targets(self) -> list[Target]:
        """Every adaptable layer: the text encoders', then the U-Net's."""
        return list(self._loaded.targets)

    def other_targets(self) -> list[Target]:
        """Layers that no training adapts but a LoRA file may change."""
        return self._loaded.other_targets()

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the posterior, even under autocast."""
        vae = self._loaded.vae
        self._place(vae.patcher, int(vae.memory_used_encode(pixels.shape, vae.vae_dtype)), False)
        network, pixels = vae.first_stage_model, pixels.to(vae.device, vae.vae_dtype)
        with torch.no_grad(), torch.autocast(vae.device.type, enabled=False):
            posterior = network.encode(pixels, lambda found: found)
            mean, std = posterior.mean.float(), posterior.std.float()
        if not bool(mean.isfinite().all()):
            mean, std = autoencoder.posterior_in_float32(network, pixels)
        return mean.to(self.device), std.to(self.device)

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False, weighted: bool = False
    ) -> Conditioning:
        """Encodes captions literally; states (B, 75 * chunks + 2, C) float32."""
        self._place(self._loaded.clip.patcher, 0, grad)
        with nullcontext() if grad else torch.no_grad():
            hidden, pooled = text.encode(self._loaded, captions, clip_skip, chunks, weighted)
            return Conditioning(hidden.to(self.device), None if pooled is None else pooled.to(self.device))

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        """Runs the U-Net as Forge does; returns float32 (B, 4, h, w)."""
        dtype, device = self.compute_dtype, self.device
        pixels = noisy.shape[0] * noisy.shape[-2] * noisy.shape[-1]
        self._place(self._loaded.unet, pixels * _ACTIVATIONS * dtype.itemsize, grad=torch.is_grad_enabled())
        vector = None
        if cond.pooled is not None:
            assert cond.sizes is not None, "a family with pooled vectors has size ids"
            vector = size_ids.vector(cond.pooled, cond.sizes).to(device, dtype)
        # the dictionary is Forge's to write into; its default would be shared by all calls
        output = self._loaded.diffusion_model(
            noisy.to(device, dtype), timesteps.to(device).float(), context=cond.hidden.to(device, dtype), y=vector,
            transformer_options={})
        return output.float()

    def checkpointing(self) -> AbstractContextManager[None]:
        """Recomputes activations of U-Net and text encoders in backward while open."""
        return recomputed(self._loaded.recomputed_blocks)

    def preview(self, request: PreviewRequest) -> Picture:
        """Draws one picture inside this turn, on the networks as Forge knows them."""
        self._give_back()
        try:
            return self._draw(request)
        finally:
            self._take()
