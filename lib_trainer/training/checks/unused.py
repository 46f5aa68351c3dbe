"""Settings that do nothing with the chosen method: told in one sentence, so that nobody waits for what they would do.

They are no faults: a person who tries another method keeps what was filled in for the one before.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.method import DIFFERENCE, INSTANT, NEEDS, PARTS
from lib_trainer.training.strengths import asked

_GROUPS = ("Data", "Captions")
"""Folds of the form that are about pictures."""

_OF_ALL = ("resolution", "batch_size", "clip_skip", "max_tokens", "weighted_captions")
"""Settings in them that matter without pictures, too."""

_OF_PICTURES = (
    "images", "noise_offset", "noise_offset_random", "adaptive_noise_scale", "multires_iterations",
    "multires_discount", "ip_noise_gamma", "ip_noise_gamma_random", "prior_loss_weight", "keep_base", "cache_to_disk",
    "cache_variants",
)
"""Settings elsewhere that are about pictures."""

_OF_PREVIEWS = ("preview_file", "preview_every_steps", "preview_every_epochs", "preview_at_first")
"""Copiers sample the captions of their pictures, when the settings of copiers say so."""

_PROMPTS = "preview_file"
"""The one of them that matters where the result is drawn."""

_OF_STRENGTHS = ("slider_seeds", "slider_prompts")
"""Matter where the result is drawn."""

_OF_DENOISING = ("denoising_steps", "denoising_guidance")


def told(config: TrainConfig) -> list[str]:
    """Returns one sentence about all settings that were changed and do nothing; none where there are none."""
    found = [f"{field.metadata['label']} ({field.name})" for field in _unused(config)
             if getattr(config, field.name) != field.default]
    if not found:
        return []
    return [f"With method = {config.method} {'these settings do' if len(found) > 1 else 'this setting does'} nothing: "
            f"{', '.join(found)}."]


def _unused(config: TrainConfig) -> Iterator[dataclasses.Field[object]]:
    draws = asked.wanted(config)
    for field in dataclasses.fields(config):
        if _is_of_others(config, field, draws) if field.metadata["group"] == "Method" else _acts_not(
                config, field, draws):
            yield field


def _is_of_others(config: TrainConfig, field: dataclasses.Field[object], draws: bool) -> bool:
    """Whether a setting of the fold "Method" is for other methods, or for what is switched off."""
    part = field.metadata["part"]
    return bool((part and part not in PARTS[config.method]) or (
        config.method == INSTANT and field.name in _OF_DENOISING) or (field.name in _OF_STRENGTHS and not draws))


def _acts_not(config: TrainConfig, field: dataclasses.Field[object], draws: bool) -> bool:
    """Whether a setting of another fold does nothing with the method."""
    if config.method == DIFFERENCE and field.name in _OF_PREVIEWS:
        return not (draws and field.name == _PROMPTS)
    of_pictures = field.name in _OF_PICTURES or (field.metadata["group"] in _GROUPS and field.name not in _OF_ALL)
    return NEEDS[config.method] == "prompts" and of_pictures
