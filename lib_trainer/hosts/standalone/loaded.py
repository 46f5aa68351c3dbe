"""A checkpoint in the embedded host's memory: its networks, and what they do for training and drawing alike."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from lib_trainer.host_model import Checkpoint, Conditioning, Target
from lib_trainer.hosts.recompute import blocks_of
from lib_trainer.hosts.standalone import layers
from lib_trainer.hosts.standalone.placement import TEXT, UNET, VAE, Placement
from lib_trainer.hosts.standalone.text_encoders import TextEncoders


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A checkpoint in memory.

    Attributes:
        checkpoint: what is told about it. identity: path, size and time of the file; equal = the same weights.
        unet, text: in `compute_dtype`. vae: float32. All frozen, in eval mode.
        alphas_cumprod: (1000,) float32 on the CPU.
    """

    checkpoint: Checkpoint
    identity: tuple[str, int, int]
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: TextEncoders
    alphas_cumprod: torch.Tensor
    device: torch.device
    compute_dtype: torch.dtype

    def predict(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning,
        unet: Callable[..., Any] | None = None,
    ) -> torch.Tensor:
        """Runs the U-Net in its own dtype.

        Args:
            noisy: (B, 4, h, w) scaled latents. timesteps: (B,). cond: for B pictures.
            unet: what is called in its place, None = itself.

        Returns:
            (B, 4, h, w) float32.
        """
        noisy, states = (tensor.to(self.device, self.compute_dtype) for tensor in (noisy, cond.hidden))
        predicted: torch.Tensor = (unet or self.unet)(
            noisy, timesteps.to(self.device), states, added_cond_kwargs=self._added(cond), return_dict=False
        )[0]
        return predicted.float()

    def _added(self, cond: Conditioning) -> dict[str, torch.Tensor] | None:
        """What SDXL's U-Net is told beside the text; it spreads the sizes over waves itself (see `hosts.size_ids`)."""
        if not self.checkpoint.family.has_size_ids:
            return None
        if cond.pooled is None or cond.sizes is None:
            raise ValueError(f"{self.checkpoint.family.label} needs the pooled vector and the sizes of every picture.")
        return {"text_embeds": cond.pooled.to(self.device, self.compute_dtype), "time_ids": cond.sizes.to(self.device)}

    def encode(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the posterior, in float32 even under autocast."""
        self.placement.bring(VAE)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            posterior = self.vae.encode(pixels.to(self.device, torch.float32)).latent_dist
        return posterior.mean, posterior.std

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Returns the picture (3, H, W), about [-1, 1], of scaled latents (4, h, w)."""
        self.placement.bring(VAE)
        unscaled = latents[None].to(self.device).float() / self.checkpoint.family.latent_scale
        return self.vae.decode(unscaled, return_dict=False)[0][0]

    @cached_property
    def placement(self) -> Placement:
        """Where the networks are."""
        parts = {UNET: [self.unet], VAE: [self.vae], TEXT: self.text.networks}
        return Placement(self.device, parts, self.unet.device.type == self.device.type)

    @cached_property
    def targets(self) -> list[Target]:
        """Every layer that is trained on."""
        return layers.targets(self.unet, self.text.named(), self.checkpoint.family)

    @cached_property
    def loadable(self) -> list[Target]:
        """Every layer that a LoRA file of any kind may change, the ones that are trained on among them."""
        return layers.loadable(self.unet, self.text.named(), self.checkpoint.family)

    @cached_property
    def blocks(self) -> list[torch.nn.Module]:
        """The blocks of U-Net and text encoders whose inside is recomputed when memory is short."""
        return blocks_of([self.unet, *self.text.networks])

    @cached_property
    def recomputing(self) -> dict[torch.nn.Module, Callable[..., Any]]:
        """The blocks' forwards under checkpoints, made once: a compiled U-Net knows them by identity."""
        return {}

    @cached_property
    def modules(self) -> list[torch.nn.Module]:
        """Every module of the networks."""
        return [module for network in self.networks() for module in network.modules()]

    @cached_property
    def weights(self) -> list[torch.nn.Parameter]:
        """Every parameter of the networks."""
        return [weight for network in self.networks() for weight in network.parameters()]

    def networks(self) -> tuple[torch.nn.Module, ...]:
        """U-Net, VAE and text encoders."""
        return self.unet, self.vae, *self.text.networks
