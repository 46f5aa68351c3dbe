"""The leased model of reForge: what training needs of the checkpoint in memory, over reForge's own networks.

Networks are placed when a step first needs them, so caching latents does not push the U-Net out of a small GPU and the
other way round. reForge moves networks by swapping their tensors, therefore what a turn has borrowed (see
`webui.lending`) is given back before reForge is asked to place something, and taken again afterwards.

SD's U-Nets run without in-place operations here (the one in reForge's transformer block belongs to video models).
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.host_model import Checkpoint, Conditioning, Picture, PreviewRequest, Target
from lib_trainer.hosts import recompute
from lib_trainer.hosts.reforge import placement, text
from lib_trainer.hosts.reforge.loaded import Inside, Loaded, in_memory
from lib_trainer.hosts.webui import autoencoder
from lib_trainer.hosts.webui.lending import aliased, flags_lent, weights_of

_STEP = 6
"""How many times the memory of drawing one step a training step needs, roughly: its activations are kept."""


class ReforgeModel:
    """`HostModel` over a `Loaded`; see the port for every method's contract."""

    def __init__(self, loaded: Loaded, draw: Callable[[PreviewRequest], Picture]) -> None:
        self._loaded = loaded
        self._draw = draw
        self._taken = ExitStack()
        self._with_gradients: list[Any] = []

    @contextmanager
    def turn(self) -> Iterator[ReforgeModel]:
        """Takes merged LoRAs out and lends the networks while open."""
        try:
            self._take()
            yield self
        finally:
            self._taken.close()

    def _take(self) -> None:
        patchers = (self._loaded.unet, self._loaded.clip.patcher)
        if merged := [patcher for patcher in patchers if not placement.is_clean(patcher)]:
            placement.place(merged, 0)
        insides = [Inside.of(network) for network in self._loaded.networks]
        holders = [module for inside in insides for module in inside.holders]
        self._taken.enter_context(aliased(holders))
        modules = [module for inside in insides for module in inside.modules]
        self._taken.enter_context(flags_lent(modules, weights_of(holders)))

    @contextmanager
    def _given_back(self) -> Iterator[None]:
        """Everything as found while open."""
        self._taken.close()
        yield
        self._take()

    def _place(self, patcher: Any, memory: int, grad: bool) -> None:
        """Makes sure that a network is where it runs, beside those that this turn's backward pass will need."""
        if grad and patcher not in self._with_gradients:
            self._with_gradients.append(patcher)
        together = [patcher, *(other for other in self._with_gradients if other is not patcher)]
        if not all(placement.is_placed(one) for one in together):
            with self._given_back():
                placement.place(together, memory)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint these weights came from."""
        return self._loaded.checkpoint

    @property
    def device(self) -> torch.device:
        """Where reForge runs the U-Net."""
        return torch.device(self._loaded.unet.load_device)

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype in which reForge runs the U-Net, whatever it is stored in."""
        return self._loaded.compute_dtype

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """(1000,) float32, descending in (0, 1)."""
        return self._loaded.alphas_cumprod()

    def targets(self) -> list[Target]:
        """Every adaptable layer: the text encoders', then the U-Net's."""
        return self._loaded.targets()

    def other_targets(self) -> list[Target]:
        """Layers that no training adapts but a LoRA file may change."""
        return self._loaded.other_targets()

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the posterior, computed in the VAE's dtype, or in
        float32 where that overflows, as SDXL's own does.
        """
        vae = self._loaded.vae
        self._place(vae.patcher, int(vae.memory_used_encode(pixels.shape, vae.vae_dtype)), False)
        mean, std = autoencoder.posterior(vae.first_stage_model, pixels.to(vae.device, vae.vae_dtype))
        return mean.to(self.device), std.to(self.device)

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False, weighted: bool = False
    ) -> Conditioning:
        """Encodes captions literally; states (B, 75 * chunks + 2, C) float32.

        Raises:
            UserError: clip skip beyond the encoder's layers, or an encoder that cannot be trained where it runs.
        """
        patcher = self._loaded.clip.patcher
        if grad and torch.device(patcher.load_device).type != self.device.type:
            raise UserError(f"reForge runs the text encoder on '{patcher.load_device}' and the U-Net on "
                            f"'{self.device}', so only the U-Net can be trained: switch the text encoder's training "
                            "off, or start reForge without --always-low-vram.")
        self._place(patcher, 0, grad)
        with nullcontext() if grad else torch.no_grad():
            hidden, pooled = text.encode(self._loaded, captions, clip_skip, chunks, weighted)
            return Conditioning(hidden.to(self.device), None if pooled is None else pooled.to(self.device))

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        """Runs the U-Net as reForge does; returns float32 (B, 4, h, w)."""
        dtype, device, unet = self.compute_dtype, self.device, self._loaded.unet
        self._place(unet, int(unet.memory_required(list(noisy.shape))) * _STEP, torch.is_grad_enabled())
        vector = self._vector(cond).to(device, dtype) if self._loaded.family.has_size_ids else None
        # the dictionary is the host's to write into; its default would be shared by all calls
        output = self._loaded.diffusion_model(
            noisy.to(device, dtype), timesteps.to(device).float(), context=cond.hidden.to(device, dtype), y=vector,
            transformer_options={})
        return output.float()

    def _vector(self, cond: Conditioning) -> torch.Tensor:
        """Returns what SDXL's U-Net is told of a batch: pooled vector and embedded sizes, (B, P + 6 * 256)."""
        if cond.pooled is None or cond.sizes is None:
            raise ValueError("SDXL needs the pooled vector and the sizes of every picture.")
        sizes = self._loaded.unet.model.embedder(cond.sizes.flatten().float()).reshape(len(cond.sizes), -1)
        return torch.cat([cond.pooled.float(), sizes.to(cond.pooled.device)], dim=-1)

    def checkpointing(self) -> AbstractContextManager[None]:
        """Recomputes activations of U-Net and text encoders in backward while open."""
        trained = [self._loaded.diffusion_model, self._loaded.clip.cond_stage_model]
        return recompute.recomputed(recompute.blocks_of(trained))

    def preview(self, request: PreviewRequest) -> Picture:
        """Draws one picture inside this turn, on the networks as reForge knows them.

        Raises:
            ModelChanged: drawing has switched to another checkpoint.
        """
        self._taken.close()
        picture = self._draw(request)
        if not self._loaded.is_still(in_memory()):
            raise ModelChanged(f"The preview has loaded another checkpoint than '{self.checkpoint.name}'. "
                               "Take the checkpoint out of its settings.")
        self._take()
        return picture
