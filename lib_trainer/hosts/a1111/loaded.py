"""The checkpoint in AUTOMATIC1111's memory: what it is, and where its parts are."""
from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.host_model import Checkpoint, Target
from lib_trainer.hosts.a1111.cleared import mergeable
from lib_trainer.hosts.a1111.fused import Parts
from lib_trainer.hosts.a1111.text import ClipEncoder, OpenClipEncoder, TextEncoder
from lib_trainer.hosts.recompute import blocks_of
from lib_trainer.hosts.webui.ldm_targets import other_targets, unet_targets

_OUR_KINDS = "Choose an ordinary SD 1.x, SD 2.x or SDXL text-to-image checkpoint."
_PREDICTIONS = {"eps": "epsilon", "v": "v"}


def model_in_memory() -> Any:
    """Returns the host's model; never makes the host load one.

    Raises:
        UserError: none is loaded.
    """
    from modules import sd_models

    model = sd_models.model_data.sd_model
    if model is None:
        raise UserError("No checkpoint is loaded. Choose one at the top of the page and wait until it is loaded.")
    return model


def facts(sd_model: Any) -> Checkpoint:
    """Returns what a model of the host is.

    Raises:
        UserError: it is of a kind that cannot be trained.
    """
    path = Path(sd_model.sd_checkpoint_info.filename)
    sd3 = getattr(sd_model, "is_sd3", False)
    if not sd3 and not any(hasattr(encoder, "wrapped") for encoder in _text_modules(sd_model)):
        # The host wraps its text encoders when it has loaded the weights, and unwraps them to load others.
        raise UserError(f"'{path.name}' is just being loaded. Wait a moment.")
    family = _family(sd_model, path.name)
    prediction = _PREDICTIONS.get(sd_model.parameterization)
    if prediction is None:
        raise UserError(f"'{path.name}' predicts '{sd_model.parameterization}', which cannot be trained. {_OUR_KINDS}")
    native = family.native_resolution(prediction)
    latent = getattr(sd_model, "image_size", None)  # absent in SDXL; SD 2.x of 768 pixels says 64 as well
    if isinstance(latent, int) and latent * 8 < family.resolution:
        native = latent * 8
    return Checkpoint(path.name, path, family, native, prediction)


def _family(sd_model: Any, name: str) -> Family:
    if getattr(sd_model, "is_sd3", False):
        raise UserError(f"'{name}' is an SD 3 model, which cannot be trained. {_OUR_KINDS}")
    channels = sd_model.model.diffusion_model.input_blocks[0][0].weight.shape[1]
    if channels != 4:
        raise UserError(
            f"'{name}' is for inpainting or takes another extra input (its U-Net has {channels} input channels, not 4)."
            f" {_OUR_KINDS}"
        )
    if sd_model.model.conditioning_key not in ("crossattn", None):
        raise UserError(f"'{name}' needs more than a prompt ('{sd_model.model.conditioning_key}'). {_OUR_KINDS}")
    if sd_model.is_sdxl:
        if len(_embedders(sd_model)) != 2:
            raise UserError(f"'{name}' is the SDXL refiner. {_OUR_KINDS}")
        return SDXL
    if sd_model.is_sd2:
        return SD2
    if not hasattr(getattr(sd_model.cond_stage_model.wrapped, "transformer", None), "text_model"):
        raise UserError(f"'{name}' has a text encoder that is not CLIP. {_OUR_KINDS}")
    return SD1


def _text_modules(sd_model: Any) -> list[Any]:
    return list(sd_model.conditioner.embedders) if sd_model.is_sdxl else [sd_model.cond_stage_model]


def _embedders(sd_model: Any) -> list[Any]:
    """Returns the host's wrappers of the text encoders."""
    return [module for module in _text_modules(sd_model) if hasattr(module, "wrapped")]


class Loaded:
    """A model of the host with everything about it that training asks for again and again.

    Attributes:
        sd_model: the host's model.
        checkpoint: what it is.
        encoders: its text encoders in the order of their outputs.
    """

    def __init__(self, sd_model: Any) -> None:
        """Looks through the model.

        Raises:
            UserError: it is of a kind that cannot be trained.
        """
        self.sd_model = sd_model
        self.checkpoint = facts(sd_model)
        self.encoders = [
            _encoder(embedder, text.prefix, self.checkpoint.family)
            for embedder, text in zip(_embedders(sd_model), self.checkpoint.family.text_encoders, strict=True)
        ]
        self._parts = self._identities()

    def is_still(self, sd_model: Any) -> bool:
        """Whether this describes the model as it is now: a switch may keep the object and wrap its parts anew."""
        return sd_model is self.sd_model and self._identities() == self._parts

    def _identities(self) -> tuple[object, ...]:
        model = self.sd_model
        return model.sd_checkpoint_info.filename, model.first_stage_model, *map(id, _embedders(model))

    @property
    def unet(self) -> torch.nn.Module:
        """The U-Net itself."""
        return self.sd_model.model.diffusion_model

    @property
    def vae(self) -> torch.nn.Module:
        """The autoencoder."""
        return self.sd_model.first_stage_model

    @cached_property
    def targets(self) -> list[Target]:
        """Every adaptable layer: the text encoders', then the U-Net's."""
        text = [target for encoder in self.encoders for target in encoder.targets]
        return [*text, *unet_targets(self.unet, self.checkpoint.family)]

    def other_targets(self) -> list[Target]:
        """Returns the layers that no training adapts but a LoRA file may change."""
        family = self.checkpoint.family
        text = [(encoder.network, facts.prefix)
                for encoder, facts in zip(self.encoders, family.text_encoders, strict=True)]
        return other_targets(self.unet, text, family)

    @cached_property
    def fused(self) -> list[Parts]:
        """Attentions that must be taken apart for hooks on the targets to act."""
        return [parts for encoder in self.encoders for parts in encoder.fused]

    @cached_property
    def blocks(self) -> list[torch.nn.Module]:
        """Blocks of the text encoders and the U-Net that can be recomputed."""
        return blocks_of([*(encoder.network for encoder in self.encoders), self.unet])

    @cached_property
    def modules(self) -> list[torch.nn.Module]:
        """Every module of the host's model."""
        return list(self.sd_model.modules())

    @cached_property
    def weights(self) -> list[torch.nn.Parameter]:
        """Every parameter of the host's model."""
        return list(self.sd_model.parameters())

    @cached_property
    def mergeable(self) -> list[torch.nn.Module]:
        """Layers into which the host may merge LoRAs."""
        return mergeable(self.sd_model)


def _encoder(embedder: Any, prefix: str, family: Family) -> TextEncoder:
    build = OpenClipEncoder if hasattr(embedder.wrapped, "model") else ClipEncoder
    return build(embedder, prefix, family)
