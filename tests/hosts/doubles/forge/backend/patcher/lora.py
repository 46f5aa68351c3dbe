"""Double of Forge's merging: LoRAs as patches of parameters, merged when a patcher is loaded."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lib_trainer.families import ldm
from lib_trainer.families.sd1 import SD1


def load_lora(lora: Mapping[str, torch.Tensor], to_load: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the patches by parameter of the layers in `to_load`, and what is left of the file."""
    patches, taken = {}, set()
    for layer, parameter in to_load.items():
        names = [f"{layer}.{part}" for part in ("lora_up.weight", "lora_down.weight", "alpha")]
        if all(name in lora for name in names):
            up, down, alpha = (lora[name] for name in names)
            patches[parameter] = ("lora", (up, down, alpha.item(), None, None))
            taken |= set(names)
    return patches, {name: tensor for name, tensor in lora.items() if name not in taken}


def model_lora_keys_unet(model: torch.nn.Module, key_map: dict[str, str] = {}) -> dict[str, str]:
    found = dict(key_map)
    for path, _ in model.diffusion_model.named_modules():
        if name := ldm.unet_layer(path, SD1):
            found[name] = f"diffusion_model.{path}.weight"
    return found


def model_lora_keys_clip(model: torch.nn.Module, key_map: dict[str, str] = {}) -> dict[str, str]:
    found = dict(key_map)
    for path, _ in model.named_modules():
        for name in ldm.text_layers(path, "lora_te"):
            found[name] = f"{path}.weight"
    return found


@torch.inference_mode()
def merge_lora_to_weight(
    patches: list[Any], weight: torch.Tensor, key: str = "online_lora",
    computation_dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Computes in float32 and rounds to the weight's own dtype."""
    merged = weight.to(computation_dtype, copy=True)
    for strength, (kind, (up, down, alpha, *_)), _model, _offset, _function in patches:
        assert kind == "lora"
        delta = up.float().flatten(1) @ down.float().flatten(1)
        merged += strength * alpha / down.shape[0] * delta.reshape(merged.shape)
    return merged.to(weight.dtype)


class LoraLoader:
    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.backup: dict[str, torch.nn.Parameter] = {}
        self.loaded_hash = str([])

    @torch.inference_mode()
    def refresh(self, lora_patches: Mapping[Any, Any], offload_device: Any = torch.device("cpu"),
                force_refresh: bool = False) -> None:
        """Compares the keys of the LoRAs only: what they hold may change without being noticed."""
        hashes = str(list(lora_patches))
        if hashes == self.loaded_hash and not force_refresh:
            return
        for key, own in self.backup.items():
            _set(self.model, key, own)
        self.backup = {}
        for patches in lora_patches.values():
            for key, found in patches.items():
                weight = self.model.get_parameter(key)
                self.backup.setdefault(key, weight)
                merged = merge_lora_to_weight(found, weight, key)
                _set(self.model, key, torch.nn.Parameter(merged, requires_grad=False))
        self.loaded_hash = hashes


def _set(model: torch.nn.Module, key: str, weight: torch.nn.Parameter) -> None:
    path, _, name = key.rpartition(".")
    setattr(model.get_submodule(path), name, weight)
