"""Double of reForge's loaded LoRAs: clones of the model's patchers with the LoRAs' patches in them."""
from __future__ import annotations

import functools
import os
from types import SimpleNamespace
from typing import Any

import torch
from ldm_patched.modules.sd import load_lora_for_models
from modules import sd_models, shared
from safetensors.torch import load_file

available_networks: dict[str, SimpleNamespace] = {}
available_network_aliases: dict[str, SimpleNamespace] = {}
forbidden_network_aliases: dict[str, int] = {}
loaded_networks: list[SimpleNamespace] = []


@functools.lru_cache(maxsize=5)
def load_lora_state_dict(filename: str) -> dict[str, torch.Tensor]:
    return load_file(filename)


def list_available_networks() -> None:
    available_networks.clear()
    available_network_aliases.clear()
    for file in sorted(os.listdir(shared.cmd_opts.lora_dir)):
        name, suffix = os.path.splitext(file)
        if suffix == ".safetensors":
            entry = SimpleNamespace(name=name, filename=os.path.join(shared.cmd_opts.lora_dir, file))
            available_networks[name] = available_network_aliases[name] = entry


def load_networks(
    names: list[str], te_multipliers: Any = None, unet_multipliers: Any = None, dyn_dims: Any = None
) -> None:
    """Raises AttributeError for a name without a file, as the real one does; then no LoRA is applied."""
    model = sd_models.model_data.get_sd_model()
    loaded_networks.clear()
    if any(name not in available_network_aliases for name in names):
        list_available_networks()
    on_disk = [available_network_aliases.get(name) for name in names]
    for name, entry in zip(names, on_disk, strict=True):
        loaded_networks.append(SimpleNamespace(name=name, mentioned_name=name, network_on_disk=entry))
    wanted = [[entry.filename, unet, te]  # type: ignore[union-attr]
              for entry, unet, te in zip(on_disk, unet_multipliers, te_multipliers, strict=True)]
    if model.current_lora_hash == str(wanted):
        return
    model.current_lora_hash = str(wanted)
    objects = model.forge_objects
    objects.unet, objects.clip = model.forge_objects_original.unet, model.forge_objects_original.clip
    for filename, unet, te in wanted:
        state = load_lora_state_dict(filename)
        objects.unet, objects.clip = load_lora_for_models(objects.unet, objects.clip, state, unet, te, filename)
    model.forge_objects_after_applying_lora = objects.shallow_copy()
