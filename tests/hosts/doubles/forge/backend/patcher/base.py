"""Double of Forge's patcher: one network with the LoRAs of a picture; clones share the network."""
from __future__ import annotations

import copy
from typing import Any

import torch
from backend.patcher.lora import LoraLoader


class ModelPatcher:
    def __init__(self, model: torch.nn.Module, load_device: Any, offload_device: Any) -> None:
        self.model, self.load_device, self.offload_device = model, load_device, offload_device
        self.lora_patches: dict[Any, Any] = {}
        self.model_options: dict[str, Any] = {"transformer_options": {}}
        if not hasattr(model, "lora_loader"):
            model.lora_loader = LoraLoader(model)
        self.lora_loader: LoraLoader = model.lora_loader

    def clone(self) -> ModelPatcher:
        twin = type(self)(self.model, self.load_device, self.offload_device)
        twin.lora_patches = self.lora_patches.copy()
        twin.model_options = copy.deepcopy(self.model_options)
        return twin

    def is_clone(self, other: Any) -> bool:
        return self.model is other.model

    def add_patches(
        self, *, filename: str, patches: dict[str, Any], strength_patch: float = 1.0, strength_model: float = 1.0,
        online_mode: bool = False,
    ) -> set[str]:
        """The same file at the same strength twice counts once, as in Forge."""
        known = {name for name, _ in self.model.named_parameters()}
        self.lora_patches[filename, strength_patch, strength_model, online_mode] = {
            key: [[strength_patch, patch, strength_model, None, None]]
            for key, patch in patches.items() if key in known
        }
        return known & patches.keys()

    def has_online_lora(self) -> bool:
        return any(online_mode for _, _, _, online_mode in self.lora_patches)

    def refresh_loras(self) -> None:
        self.lora_loader.refresh(self.lora_patches, offload_device=self.offload_device)
