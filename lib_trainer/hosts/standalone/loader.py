"""Loads an SD 1.x, SD 2.x or SDXL checkpoint from one file, offline.

The original names are turned into those of diffusers and transformers by diffusers' own single-file converters; sizes
come from the shapes (see `architecture` and `text_parts`). Networks are made on the meta device and receive the file's
tensors, so nothing is initialised for nothing and the weights exist once. Every tensor of a network must be there and
fit.
"""
from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.host_model import Checkpoint
from lib_trainer.hosts.checkpoint_file import (
    read_config,
    read_shapes,
    read_tensor,
    read_tensors,
    setting,
    text_folder_config,
)
from lib_trainer.hosts.kinds import UNET, VAE, Shapes
from lib_trainer.hosts.standalone import architecture, noise_schedule, text_parts
from lib_trainer.hosts.standalone.detect import require_family
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.text_encoders import TextEncoders
from lib_trainer.hosts.standalone.tokens import Tokenizer

Tensors = dict[str, torch.Tensor]
Network = TypeVar("Network", bound=torch.nn.Module)


def load(path: Path, device: torch.device, dtype: torch.dtype, rests: bool = False) -> LoadedModel:
    """Loads a single-file checkpoint.

    Args:
        path: `.safetensors` or `.ckpt`; a `.yaml` beside it is read.
        device: where the networks will run.
        dtype: of U-Net and text encoders; the VAE is always float32 (it overflows in half precision).
        rests: whether they stay in main memory until they are brought.

    Raises:
        UserError: missing, damaged or of no family that is known here; says what was found and what is supported.
    """
    tensors, config = read_tensors(path), read_config(path)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    family = require_family(shapes, path)
    _require_scale(config, path, family)
    try:
        unet = _unet(tensors, shapes, config, family)
        vae = _vae(tensors, shapes)
        texts = [_text(source, tensors, config, path) for source in text_parts.of(family)]
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"'{path}' lacks a tensor that {family.label} needs ({error}). "
                        "Download or copy it again.") from error
    fill = _Filling(path, family.label, torch.device("cpu") if rests else device)
    return LoadedModel(
        checkpoint=_describe(path, family, tensors, config, tensors.get),
        identity=identity_of(path),
        unet=fill("U-Net", *unet, dtype),
        vae=fill("VAE", *vae, torch.float32),
        text=TextEncoders(family, tuple(fill("text encoder", *text, dtype) for text in texts), Tokenizer()),
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
        UserError: missing, damaged or of no family that is known here.
    """
    shapes, config = read_shapes(path), read_config(path)
    family = require_family(shapes, path)
    _require_scale(config, path, family)
    return _describe(path, family, shapes, config, lambda name: read_tensor(path, name) if name in shapes else None)


def _describe(
    path: Path, family: Family, names: Container[str], config: dict[str, object],
    read: Callable[[str], torch.Tensor | None],
) -> Checkpoint:
    prediction = noise_schedule.prediction_type(names, config, family, read)
    native = family.native_resolution(prediction)
    size = setting(config, "model", "params", "image_size")  # SD 2.x of 768 pixels says 64 as well
    if isinstance(size, int) and 0 < size * 8 < family.resolution:
        native = size * 8
    zero = noise_schedule.is_zero_terminal(names, read)
    return Checkpoint(path.name, path, family, native, prediction, zero)


def _require_scale(config: dict[str, object], path: Path, family: Family) -> None:
    scale = setting(config, "model", "params", "scale_factor")
    if scale is not None and scale != family.latent_scale:
        raise UserError(f"The .yaml beside '{path}' says scale_factor: {scale}; {family.label} has "
                        f"{family.latent_scale}.")


def _unet(
    tensors: Tensors, shapes: Shapes, config: dict[str, object], family: Family
) -> tuple[UNet2DConditionModel, Tensors]:
    """Returns the U-Net on the meta device, and its tensors."""
    sizes = architecture.unet_config(shapes, config, family)
    own = {name: value for name, value in tensors.items() if name.startswith(UNET)}
    return _on_meta(lambda: UNet2DConditionModel(**sizes)), convert_ldm_unet_checkpoint(own, config=sizes)


def _vae(tensors: Tensors, shapes: Shapes) -> tuple[AutoencoderKL, Tensors]:
    """Returns the VAE on the meta device, and its tensors."""
    sizes = architecture.vae_config(shapes)
    own = {name: value for name, value in tensors.items() if name.startswith(VAE)}
    return _on_meta(lambda: AutoencoderKL(**sizes)), convert_ldm_vae_checkpoint(own, config=sizes)


def _text(
    source: text_parts.Source, tensors: Mapping[str, torch.Tensor], config: dict[str, object], path: Path
) -> tuple[Any, Tensors]:
    """Returns a text encoder on the meta device but for its constant of positions, and its tensors."""
    own = text_parts.tensors(source, tensors)
    shapes = {name: tuple(value.shape) for name, value in own.items()}
    sizes = text_parts.sizes(source, shapes, config, text_folder_config(path, config))
    kind = CLIPTextModelWithProjection if source.pools else CLIPTextModel
    network = _on_meta(lambda: kind(CLIPTextConfig(**sizes)))
    positions = torch.arange(sizes["max_position_embeddings"]).expand((1, -1))
    network.text_model.embeddings.register_buffer("position_ids", positions, persistent=False)
    return network, own


def _on_meta(make: Callable[[], Network]) -> Network:
    with torch.device("meta"):
        return make()


class _Filling:
    """Gives networks on the meta device the weights of a file."""

    def __init__(self, path: Path, label: str, device: torch.device) -> None:
        self._path, self._label, self._device = path, label, device

    def __call__(self, label: str, network: Network, tensors: Tensors, dtype: torch.dtype) -> Network:
        """Returns the network with copies of its weights, frozen, in eval mode.

        A copy even where dtype and device fit: the file's tensors may be views of the mapped file.
        """
        copies = {name: value.to(self._device, dtype, copy=True) for name, value in tensors.items()}
        try:
            missing = network.load_state_dict(copies, strict=False, assign=True)
        except RuntimeError as error:
            raise UserError(f"The {label} in '{self._path}' does not have the shapes of {self._label}: "
                            f"{str(error)[:300]}") from error
        faults = [f"{name} is missing" for name in missing.missing_keys]
        faults += [f"{name} is unknown" for name in missing.unexpected_keys]
        if faults:
            raise UserError(f"The {label} in '{self._path}' is not that of {self._label}: {', '.join(faults[:3])}"
                            f"{f' and {len(faults) - 3} more' if len(faults) > 3 else ''}.")
        return network.to(self._device).requires_grad_(False).eval()
