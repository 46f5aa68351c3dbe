"""Double of reForge's LoRA files: whose key is whose parameter, and what a patch adds to a weight."""
from __future__ import annotations

from typing import Any

import torch

from lib_trainer.families import ldm
from lib_trainer.families.sd1 import SD1


class LoRAAdapter:
    """Factors of one layer (not part of the real module: it has a module of its own)."""

    def __init__(self, up: torch.Tensor, down: torch.Tensor, alpha: float) -> None:
        self.up, self.down, self.alpha = up, down, alpha

    def calculate_weight(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        delta = (self.up.float().flatten(1) @ self.down.float().flatten(1)).reshape(weight.shape)
        return weight + strength * self.alpha / self.down.shape[0] * delta


def load_lora(lora: dict[str, torch.Tensor], to_load: dict[str, str], log_missing: bool = True) -> dict[str, Any]:
    patches: dict[str, Any] = {}
    for layer, key in to_load.items():
        up, down = lora.get(f"{layer}.lora_up.weight"), lora.get(f"{layer}.lora_down.weight")
        if up is not None and down is not None:
            alpha = lora.get(f"{layer}.alpha")
            patches[key] = LoRAAdapter(up, down, float(down.shape[0] if alpha is None else alpha))
        for ending, kind in (("diff", "diff"), ("set_weight", "set")):
            if f"{layer}.{ending}" in lora:
                patches[key] = (kind, (lora[f"{layer}.{ending}"],))
    return patches


def model_lora_keys_unet(model: Any) -> dict[str, str]:
    key_map = {}
    for path, module in model.diffusion_model.named_modules():
        layer = ldm.unet_layer(path, SD1)
        if layer and hasattr(module, "weight"):
            key_map[layer] = f"diffusion_model.{path}.weight"
    return key_map


def model_lora_keys_clip(model: Any) -> dict[str, str]:
    key_map = {}
    for path, _ in model.named_modules():
        for layer in ldm.text_layers(path, "lora_te"):
            key_map[layer] = f"{path}.weight"
    return key_map


def calculate_weight(patches: list[tuple[Any, ...]], weight: torch.Tensor, key: str) -> torch.Tensor:
    for strength, patch, *_ in patches:
        if isinstance(patch, LoRAAdapter):
            weight = patch.calculate_weight(weight, strength)
        elif patch[0] == "set":
            weight = patch[1][0].to(weight).clone()
        else:
            weight = weight + strength * patch[1][0].to(weight)
    return weight
