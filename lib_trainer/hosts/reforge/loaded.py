"""The model that reForge has in memory: its parts under plain names, and what they say about the checkpoint.

reForge keeps three sets of the same parts; `forge_objects_original` is the one without any LoRA, and the only one
looked at here. A part is a `ModelPatcher`: the network itself (`patcher.model`), where it runs, and what is merged.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family, TextEncoderFacts
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.host_model import Checkpoint, Target
from lib_trainer.hosts.webui import checkpoints, ldm_targets
from lib_trainer.noise_table import LEAST, zero_terminal

_FAMILIES = {("clip_l",): SD1, ("clip_h",): SD2, ("clip_l", "clip_g"): SDXL}
"""Families by the names of their text encoders."""

_OTHER_SAMPLING = frozenset({"EDM", "X0", "CONST", "IMG_TO_IMG", "COSMOS_RFLOW"})
"""Classes of predictions that are neither the noise nor the velocity."""

_OUR_KINDS = "LoRAs can be trained on SD 1.x, SD 2.x and SDXL text-to-image checkpoints: choose one of these."


def in_memory() -> Any | None:
    """Returns the host's model, None while none is loaded; never makes the host load one."""
    from modules import sd_models

    model = sd_models.model_data.sd_model
    # a model that the host has torn down may still be named as the loaded one
    return model if getattr(model, "forge_objects_original", None) is not None else None


def require_in_memory() -> Any:
    """Returns the host's model.

    Raises:
        UserError: none is loaded.
    """
    model = in_memory()
    if model is None:
        raise UserError("No checkpoint is loaded. Choose one at the top of the page and wait until it is loaded.")
    return model


@dataclass(frozen=True)
class Inside:
    """What a network is made of: all modules, and those among them that hold tensors themselves."""

    modules: list[torch.nn.Module]
    holders: list[torch.nn.Module]

    @classmethod
    def of(cls, network: torch.nn.Module) -> Inside:
        """Walks through a network, once: a turn is taken for every step."""
        if network not in _insides:
            modules = list(network.modules())
            holders = [module for module in modules if module._parameters or module._buffers]
            _insides[network] = cls(modules, holders)
        return _insides[network]


_insides: WeakKeyDictionary[torch.nn.Module, Inside] = WeakKeyDictionary()
"""By network and weakly: one that the host unloads must not stay in memory for our sake."""


@dataclass(frozen=True)
class Encoder:
    """One text encoder (transformers' CLIP) with its tokenizer and the family's facts about it.

    Attributes:
        module: the host's wrapper; `module.transformer` is the network.
    """

    module: Any
    tokenizer: Any
    facts: TextEncoderFacts


class Loaded:
    """A model of the host that can be trained; made anew for every use, for it must not outlive the host's model."""

    def __init__(self, sd_model: Any) -> None:
        """Looks at the model.

        Raises:
            UserError: it is of another kind.
        """
        parts = sd_model.forge_objects_original
        self._sd_model = sd_model
        self.file = Path(sd_model.filename)
        self.unet: Any = parts.unet
        self.clip: Any = parts.clip
        self.vae: Any = parts.vae
        self.family: Family = self._family()
        self._pure_noise = bool(getattr(sd_model, "ztsnr", False))

    def is_still(self, sd_model: Any) -> bool:
        """Whether this describes the model that the host has now."""
        return sd_model is self._sd_model and sd_model.forge_objects_original.unet is self.unet

    def _family(self) -> Family:
        name = self.file.name
        encoders = tuple(child for child, _ in self.clip.cond_stage_model.named_children())
        family = _FAMILIES.get(encoders)
        width = getattr(self.diffusion_model, "in_channels", None)
        if family is None or (self.unet.model.adm_channels > 0) != family.has_size_ids or width is None:
            raise UserError(f"'{name}' is a checkpoint of the kind '{type(self.unet.model).__name__}'. {_OUR_KINDS}")
        if width != 4:
            raise UserError(f"The U-Net of '{name}' takes {width} channels instead of 4 (an inpainting or editing "
                            f"checkpoint). {_OUR_KINDS}")
        scale = self.unet.model.latent_format.scale_factor
        if scale != family.latent_scale:
            raise UserError(f"'{name}' scales its latents by {scale} instead of {family.latent_scale}. {_OUR_KINDS}")
        return family

    @property
    def diffusion_model(self) -> Any:
        """The U-Net."""
        return self.unet.model.diffusion_model

    @property
    def networks(self) -> list[torch.nn.Module]:
        """U-Net (with its noise schedule), text encoders and VAE."""
        return [self.unet.model, self.clip.cond_stage_model, self.vae.first_stage_model]

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype in which the host runs the U-Net, whatever it is stored in."""
        return self.unet.model.manual_cast_dtype or self.unet.model.get_dtype()

    @cached_property
    def encoders(self) -> list[Encoder]:
        """The text encoders in the family's order."""
        named = zip(self.clip.cond_stage_model.named_children(), self.family.text_encoders, strict=True)
        return [Encoder(module, getattr(self.clip.tokenizer, name).tokenizer, facts) for (name, module), facts in named]

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Facts for the trainer.

        Raises:
            UserError: it predicts something else than the noise or the velocity.
        """
        sampling = self._sampling()
        kinds = {kind.__name__ for kind in type(sampling).__mro__}
        if kinds & _OTHER_SAMPLING or not {"ModelSamplingDiscrete", "EPS"} <= kinds:
            raise UserError(f"'{self.file.name}' predicts neither the noise nor the velocity. {_OUR_KINDS}")
        prediction = "v" if "V_PREDICTION" in kinds else "epsilon"
        resolution = checkpoints.resolution(self.file, self.family, prediction)
        return Checkpoint(self.file.name, self.file, self.family, resolution, prediction, self._pure_noise)

    def _sampling(self) -> Any:
        """The checkpoint's own noise schedule, also while a generation has put another one in its place."""
        return self.unet.get_model_object("model_sampling")

    def alphas_cumprod(self) -> torch.Tensor:
        """Returns the schedule that the checkpoint was made for: (1000,) float32, descending in (0, 1)."""
        sigmas = self._sampling().sigmas.detach().double()
        table = (1 / (sigmas**2 + 1)).float()
        return zero_terminal(table, LEAST) if self._pure_noise else table

    def targets(self) -> list[Target]:
        """Returns every adaptable layer: the text encoders', then the U-Net's."""
        text = [target for encoder in self.encoders
                for target in ldm_targets.text_targets(encoder.module, encoder.facts.prefix, self.family)]
        return text + ldm_targets.unet_targets(self.diffusion_model, self.family)

    def other_targets(self) -> list[Target]:
        """Returns the layers that no training adapts but a LoRA file may change."""
        text = [(encoder.module, encoder.facts.prefix) for encoder in self.encoders]
        return ldm_targets.other_targets(self.diffusion_model, text, self.family)
