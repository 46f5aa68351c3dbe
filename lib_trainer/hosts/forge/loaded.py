"""The model that Forge has in memory: its parts under plain names, and what they say about the checkpoint.

Forge keeps three sets of the same parts; `forge_objects_original` is the one without any LoRA, and the only one looked
at here. A part is a `ModelPatcher`: the network itself (`patcher.model`), where it runs, and which LoRAs are merged.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family, TextEncoderFacts
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.host_model import Checkpoint, Target
from lib_trainer.hosts import recompute
from lib_trainer.hosts.forge import blocks
from lib_trainer.hosts.webui import checkpoints, ldm_targets
from lib_trainer.noise_table import LEAST, zero_terminal

_PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v"}
"""Forge's names of what a U-Net predicts, and ours."""

_ENCODERS = {("clip_l",): SD1, ("clip_h",): SD2, ("clip_l", "clip_g"): SDXL}
"""Families by the names of their text encoders."""


@dataclass(frozen=True)
class Encoder:
    """One text encoder with its tokenizer and the family's facts about it."""

    module: torch.nn.Module
    tokenizer: Any
    facts: TextEncoderFacts


class Loaded:
    """Forge's loaded model (a `ForgeDiffusionEngine` of a family that can be trained).

    Raises:
        UserError: it is of another kind.
    """

    def __init__(self, engine: Any) -> None:
        parts = engine.forge_objects_original
        self.name = Path(engine.filename).name
        self.file = Path(engine.filename)
        self.family: Family = family_of(engine)
        self.unet: Any = parts.unet
        self.clip: Any = parts.clip
        self.vae: Any = parts.vae
        self._modules: dict[Any, list[torch.nn.Module]] = {}
        self._ends_in_pure_noise = bool(getattr(engine.model_config, "ztsnr", False))

    @property
    def diffusion_model(self) -> torch.nn.Module:
        """The U-Net."""
        return self.unet.model.diffusion_model

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype in which Forge runs the U-Net, whatever it is stored in."""
        return self.unet.model.computation_dtype

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """The noise schedule that the checkpoint was made for: (1000,) float32."""
        table = self.unet.model.predictor.alphas_cumprod.detach().float().clone()
        return zero_terminal(table, LEAST) if self._ends_in_pure_noise else table

    @cached_property
    def modules(self) -> list[torch.nn.Module]:
        """All modules of U-Net (with its noise schedule), text encoders and VAE."""
        return [module for patcher in (self.unet, self.clip.patcher, self.vae.patcher)
                for module in self.modules_of(patcher)]

    def modules_of(self, patcher: Any) -> list[torch.nn.Module]:
        """All modules of one of the networks; listed once, for they are asked for at every step."""
        if patcher not in self._modules:
            self._modules[patcher] = list(patcher.model.modules())
        return self._modules[patcher]

    @cached_property
    def transformer_blocks(self) -> list[torch.nn.Module]:
        """The U-Net's transformer blocks."""
        return blocks.transformer_blocks(self.diffusion_model)

    @cached_property
    def recomputed_blocks(self) -> list[torch.nn.Module]:
        """The blocks of U-Net and text encoders whose inside is recomputed when memory is short."""
        return recompute.blocks_of([self.diffusion_model, self.clip.cond_stage_model])

    @cached_property
    def encoders(self) -> list[Encoder]:
        """The text encoders in the family's order."""
        named = zip(self.clip.cond_stage_model.named_children(), self.family.text_encoders, strict=True)
        return [Encoder(module, getattr(self.clip.tokenizer, name), facts) for (name, module), facts in named]

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Facts for the trainer."""
        prediction = _PREDICTIONS[self.unet.model.predictor.prediction_type]
        resolution = checkpoints.resolution(self.file, self.family, prediction)
        return Checkpoint(self.name, self.file, self.family, resolution, prediction, self._ends_in_pure_noise)

    @cached_property
    def targets(self) -> list[Target]:
        """Every adaptable layer: the text encoders', then the U-Net's."""
        text = [target for encoder in self.encoders
                for target in ldm_targets.text_targets(encoder.module, encoder.facts.prefix, self.family)]
        return text + ldm_targets.unet_targets(self.diffusion_model, self.family)

    def other_targets(self) -> list[Target]:
        """Returns the layers that no training adapts but a LoRA file may change."""
        text = [(encoder.module, encoder.facts.prefix) for encoder in self.encoders]
        return ldm_targets.other_targets(self.diffusion_model, text, self.family)


def family_of(engine: Any) -> Family:
    """Returns the family of a model.

    Raises:
        UserError: none that can be trained; the sentence says what it is instead.
    """
    parts, name = engine.forge_objects_original, Path(engine.filename).name
    encoders = tuple(child for child, _ in parts.clip.cond_stage_model.named_children())
    family = _ENCODERS.get(encoders)
    if family is None or not (engine.is_sd1 or engine.is_sd2 or engine.is_sdxl):
        raise UserError(f"'{name}' is a checkpoint of the kind '{type(engine).__name__}'. LoRAs can be trained on "
                        "SD 1.x, SD 2.x and SDXL checkpoints: choose one of these.")
    channels = parts.unet.model.diffusion_model.in_channels
    if channels != 4:
        raise UserError(f"The U-Net of '{name}' takes {channels} channels instead of 4 (an inpainting or editing "
                        "checkpoint), which cannot be trained on. Choose an ordinary checkpoint.")
    kind = parts.unet.model.predictor.prediction_type
    if kind not in _PREDICTIONS:
        raise UserError(f"'{name}' predicts '{kind}'. LoRAs can be trained on checkpoints that predict the noise or "
                        "the velocity: choose one of these.")
    return family
