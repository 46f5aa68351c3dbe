"""Builds the three networks of an SD 1.x checkpoint from one file, offline.

The original names are turned into those of diffusers and transformers by diffusers' own single-file converters; sizes
come from the shapes (see `architecture`). Networks are made on the meta device and receive the file's tensors, so
nothing is initialised for nothing and the weights exist once. Every tensor of a network must be there and fit.
"""
from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from lib_trainer.errors import UserError
from lib_trainer.families.sd1 import SD1
from lib_trainer.host import Checkpoint, Target
from lib_trainer.hosts.checkpoint_file import (
    read_config,
    read_shapes,
    read_tensors,
    setting,
    text_folder_config,
)
from lib_trainer.hosts.kinds import TEXT, UNET, VAE
from lib_trainer.hosts.standalone import architecture, layers, noise_schedule
from lib_trainer.hosts.standalone.detect import require_sd1
from lib_trainer.hosts.standalone.tokens import Tokenizer

Tensors = dict[str, torch.Tensor]
Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A checkpoint in memory.

    Attributes:
        checkpoint: what is told about it. identity: path, size and time of the file; equal = the same weights.
        unet: in `compute_dtype`. vae: float32. text_encoder: in `compute_dtype`. All frozen, in eval mode.
        alphas_cumprod: (1000,) float32 on the CPU.
    """

    checkpoint: Checkpoint
    identity: tuple[str, int, int]
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: Tokenizer
    alphas_cumprod: torch.Tensor
    device: torch.device
    compute_dtype: torch.dtype

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Runs the U-Net in its own dtype.

        Args:
            noisy: (B, 4, h, w) scaled latents. timesteps: (B,). states: (B, T, C).

        Returns:
            (B, 4, h, w) float32.
        """
        noisy, states = noisy.to(self.device, self.unet.dtype), states.to(self.device, self.unet.dtype)
        return self.unet(noisy, timesteps.to(self.device), states, return_dict=False)[0].float()

    @cached_property
    def targets(self) -> list[Target]:
        """Every layer that is trained on."""
        return layers.targets(self.unet, self.text_encoder)

    @cached_property
    def loadable(self) -> list[Target]:
        """Every layer that a LoRA file of any kind may change, the ones that are trained on among them."""
        return layers.loadable(self.unet, self.text_encoder)

    @cached_property
    def modules(self) -> list[torch.nn.Module]:
        """Every module of the three networks."""
        return [module for network in self.networks() for module in network.modules()]

    @cached_property
    def weights(self) -> list[torch.nn.Parameter]:
        """Every parameter of the three networks."""
        return [weight for network in self.networks() for weight in network.parameters()]

    def networks(self) -> tuple[torch.nn.Module, ...]:
        """U-Net, VAE and text encoder."""
        return self.unet, self.vae, self.text_encoder


def load(path: Path, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """Loads a single-file SD 1.x checkpoint.

    Args:
        path: `.safetensors` or `.ckpt`; a `.yaml` beside it is read.
        dtype: of U-Net and text encoder; the VAE is always float32 (it overflows in half precision).

    Raises:
        UserError: missing, damaged or not SD 1.x; says what was found and what is supported.
    """
    tensors, config = read_tensors(path), read_config(path)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    require_sd1(shapes, path)
    _require_scale(config, path)
    try:
        unet_sizes, vae_sizes = architecture.unet_config(shapes, config), architecture.vae_config(shapes)
        text_shapes = architecture.text_shapes(shapes)
        text_sizes = architecture.text_config(text_shapes, config, text_folder_config(path, config))
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"'{path}' lacks a tensor that SD 1.x needs ({error}). Download or copy it again.") from error
    unet = _build("U-Net", UNet2DConditionModel, unet_sizes, _unet_tensors(tensors, unet_sizes), path)
    vae = _build("VAE", AutoencoderKL, vae_sizes, _vae_tensors(tensors, vae_sizes), path)
    return LoadedModel(
        checkpoint=_describe(path, tensors, config),
        identity=identity_of(path),
        unet=unet.to(device, dtype),
        vae=vae.to(device),
        text_encoder=_build_text(text_sizes, _text_tensors(tensors), path).to(device, dtype),
        tokenizer=Tokenizer(),
        alphas_cumprod=noise_schedule.alphas_cumprod(tensors, config),
        device=device,
        compute_dtype=dtype,
    )


def identity_of(path: Path) -> tuple[str, int, int]:
    """Returns path, size and time of a file: equal = the same weights."""
    file = path.stat()
    return str(path.resolve()), file.st_size, file.st_mtime_ns


def describe(path: Path) -> Checkpoint:
    """Returns the facts of a checkpoint file that is not loaded.

    Raises:
        UserError: missing, damaged or not SD 1.x.
    """
    shapes, config = read_shapes(path), read_config(path)
    require_sd1(shapes, path)
    _require_scale(config, path)
    return _describe(path, shapes, config)


def _describe(path: Path, names: Container[str], config: dict[str, object]) -> Checkpoint:
    size = setting(config, "model", "params", "image_size")
    resolution = size * 8 if isinstance(size, int) and size > 0 else SD1.resolution
    prediction = noise_schedule.prediction_type(names, config)
    return Checkpoint(name=path.name, path=path, family=SD1, resolution=resolution, prediction=prediction)


def _require_scale(config: dict[str, object], path: Path) -> None:
    scale = setting(config, "model", "params", "scale_factor")
    if scale is not None and scale != SD1.latent_scale:
        raise UserError(f"The .yaml beside '{path}' says scale_factor: {scale}; SD 1.x has {SD1.latent_scale}.")


def _unet_tensors(tensors: Tensors, sizes: dict[str, Any]) -> Tensors:
    return convert_ldm_unet_checkpoint({k: v for k, v in tensors.items() if k.startswith(UNET)}, config=sizes)


def _vae_tensors(tensors: Tensors, sizes: dict[str, Any]) -> Tensors:
    return convert_ldm_vae_checkpoint({k: v for k, v in tensors.items() if k.startswith(VAE)}, config=sizes)


def _text_tensors(tensors: Tensors) -> Tensors:
    """The text encoder's tensors; `position_ids` (0 to 76) is a constant that some files carry, some in float."""
    return {architecture.text_name(k): v for k, v in tensors.items()
            if k.startswith(TEXT) and not k.endswith("position_ids")}


def _build(label: str, kind: type[Network], sizes: dict[str, Any], tensors: Tensors, path: Path) -> Network:
    with torch.device("meta"):
        network = kind(**sizes)
    return _fill(label, network, tensors, path)


def _build_text(sizes: dict[str, Any], tensors: Tensors, path: Path) -> CLIPTextModel:
    with torch.device("meta"):
        network = CLIPTextModel(CLIPTextConfig(**sizes))
    positions = torch.arange(sizes["max_position_embeddings"]).expand((1, -1))
    network.text_model.embeddings.register_buffer("position_ids", positions, persistent=False)
    return _fill("text encoder", network, tensors, path)


def _fill(label: str, network: Network, tensors: Tensors, path: Path) -> Network:
    """Gives a network on the meta device its weights as float32 copies, frozen, in eval mode.

    A copy even where the dtype fits: the file's tensors may be views of the mapped file.
    """
    copies = {name: value.to(torch.float32, copy=True) for name, value in tensors.items()}
    try:
        missing = network.load_state_dict(copies, strict=False, assign=True)
    except RuntimeError as error:
        raise UserError(f"The {label} in '{path}' does not have the shapes of SD 1.x: {str(error)[:300]}") from error
    faults = [f"{name} is missing" for name in missing.missing_keys]
    faults += [f"{name} is unknown" for name in missing.unexpected_keys]
    if faults:
        raise UserError(f"The {label} in '{path}' is not that of SD 1.x: {', '.join(faults[:3])}"
                        f"{f' and {len(faults) - 3} more' if len(faults) > 3 else ''}.")
    return network.requires_grad_(False).eval()
