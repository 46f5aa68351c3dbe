"""Double of Forge's LoRAs in generation: files by name, cached by name, given to clones of the patchers."""
from __future__ import annotations

import functools
import os
from types import SimpleNamespace
from typing import Any

from backend.patcher.lora import load_lora, model_lora_keys_clip, model_lora_keys_unet
from modules import sd_models, shared
from safetensors.torch import load_file

available_networks: dict[str, SimpleNamespace] = {}
available_network_aliases: dict[str, SimpleNamespace] = {}
forbidden_network_aliases: dict[str, int] = {}
loaded_networks: list[SimpleNamespace] = []


def list_available_networks() -> None:
    available_networks.clear()
    available_network_aliases.clear()
    for folder, _, files in os.walk(shared.cmd_opts.lora_dir):
        for file in files:
            name, suffix = os.path.splitext(file)
            if suffix == ".safetensors":
                entry = SimpleNamespace(name=name, alias=name, filename=os.path.join(folder, file))
                available_networks[name] = available_network_aliases[name] = entry


@functools.lru_cache(maxsize=5)
def load_lora_state_dict(filename: str) -> dict[str, Any]:
    return load_file(filename)


def load_lora_for_models(
    model: Any, clip: Any, lora: dict[str, Any], strength_model: float, strength_clip: float, filename: str = "default",
    online_mode: bool = False,
) -> tuple[Any, Any]:
    unet_patches, rest = load_lora(lora, model_lora_keys_unet(model.model))
    clip_patches, _ = load_lora(rest, model_lora_keys_clip(clip.cond_stage_model))
    if unet_patches:
        model = model.clone()
        model.add_patches(filename=filename, patches=unet_patches, strength_patch=strength_model,
                          online_mode=online_mode)
    if clip_patches:
        clip = clip.clone()
        clip.add_patches(filename=filename, patches=clip_patches, strength_patch=strength_clip,
                         online_mode=online_mode)
    return model, clip


def load_networks(
    names: list[str], te_multipliers: Any = None, unet_multipliers: Any = None, dyn_dims: Any = None
) -> None:
    """A name that no file has raises, and the prompt's other LoRAs are lost with it."""
    engine = sd_models.model_data.get_sd_model()
    loaded_networks.clear()
    if any(name not in available_network_aliases for name in names):
        list_available_networks()
    entries = [available_network_aliases.get(name) for name in names]
    targets = []
    for name, entry, unet, te in zip(names, entries, unet_multipliers, te_multipliers, strict=True):
        loaded_networks.append(SimpleNamespace(mentioned_name=name, network_on_disk=entry))
        targets.append([entry.filename, unet, te, False])  # type: ignore[union-attr]
    if engine.current_lora_hash == str(targets):
        return
    engine.current_lora_hash = str(targets)
    objects = engine.forge_objects
    objects.unet, objects.clip = engine.forge_objects_original.unet, engine.forge_objects_original.clip
    for filename, unet, te, online in targets:
        objects.unet, objects.clip = load_lora_for_models(
            objects.unet, objects.clip, load_lora_state_dict(filename), unet, te, filename=filename,
            online_mode=online)
    engine.forge_objects_after_applying_lora = objects.shallow_copy()
