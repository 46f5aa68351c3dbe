"""Settings that do nothing with the chosen method: told in one sentence, so that nobody waits for what they would do.

They are no faults: a person who tries another method keeps what was filled in for the one before.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.method import DIFFERENCE, INSTANT, NEEDS, PARTS

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
    without_pictures = NEEDS[config.method] == "prompts"
    for field in dataclasses.fields(config):
        group, part = field.metadata["group"], field.metadata["part"]
        if group == "Method":
            if (part and part not in PARTS[config.method]) or (
                    config.method == INSTANT and field.name in _OF_DENOISING):
                yield field
            continue
        of_pictures = field.name in _OF_PICTURES or (group in _GROUPS and field.name not in _OF_ALL)
        if (without_pictures and of_pictures) or (config.method == DIFFERENCE and field.name in _OF_PREVIEWS):
            yield field
