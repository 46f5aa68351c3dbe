"""Double of reForge's patcher: a network, the patches of its LoRAs, and merging them when it is loaded."""
from __future__ import annotations

import uuid
from typing import Any

import torch
from ldm_patched.modules import lora

WEIGHTS = 1
"""Bytes that a network is said to hold when loaded: any number but 0."""


class ModelPatcher:
    compiled = False

    def __init__(
        self, model: Any, load_device: Any, offload_device: Any, size: int = 0, weight_inplace_update: bool = False
    ) -> None:
        self.model = model
        self.load_device, self.offload_device = load_device, offload_device
        self.patches: dict[str, list[tuple[Any, ...]]] = {}
        self.backup: dict[str, torch.nn.Parameter] = {}
        self.object_patches: dict[str, Any] = {}
        self.object_patches_backup: dict[str, Any] = {}
        self.patches_uuid = uuid.uuid4()
        self.parent: ModelPatcher | None = None
        if not hasattr(model, "current_weight_patches_uuid"):
            model.current_weight_patches_uuid = None
            model.model_lowvram = False
            model.model_loaded_weight_memory = 0

    def clone(self) -> ModelPatcher:
        other = type(self)(self.model, self.load_device, self.offload_device)
        other.patches = {key: list(patches) for key, patches in self.patches.items()}
        other.patches_uuid = self.patches_uuid
        other.object_patches = dict(self.object_patches)
        other.backup, other.object_patches_backup = self.backup, self.object_patches_backup
        other.parent = self
        return other

    def is_clone(self, other: Any) -> bool:
        return self.model is other.model

    def memory_required(self, input_shape: Any) -> float:
        return 0.0

    def add_object_patch(self, name: str, obj: Any) -> None:
        self.object_patches[name] = obj

    def get_model_object(self, name: str) -> Any:
        for place in (self.object_patches, self.object_patches_backup):
            if name in place:
                return place[name]
        return getattr(self.model, name)

    def add_patches(
        self, patches: dict[str, Any], strength_patch: float = 1.0, strength_model: float = 1.0
    ) -> list[str]:
        known = self.model.state_dict().keys() & patches.keys()
        for key in known:
            self.patches.setdefault(key, []).append((strength_patch, patches[key], strength_model, None, None))
        self.patches_uuid = uuid.uuid4()
        return list(known)

    def partially_load(self, device_to: Any, extra_memory: float = 0, force_patch_weights: bool = False) -> float:
        merged = self.model.current_weight_patches_uuid
        self.unpatch_model(unpatch_weights=merged is not None and merged != self.patches_uuid)
        for name, value in self.object_patches.items():
            self.object_patches_backup.setdefault(name, getattr(self.model, name))
            setattr(self.model, name, value)
        if not self.model.model_loaded_weight_memory:
            for key in self.patches:
                self.patch_weight_to_device(key)
            self.model.model_loaded_weight_memory = WEIGHTS
            self.model.current_weight_patches_uuid = self.patches_uuid
        return 0

    def patch_weight_to_device(self, key: str, device_to: Any = None, inplace_update: bool = False) -> None:
        weight = self.model.get_parameter(key)
        self.backup.setdefault(key, weight)
        merged = lora.calculate_weight(self.patches[key], weight.detach().float().clone(), key)
        _set(self.model, key, merged.to(weight.dtype))

    def unpatch_model(self, device_to: Any = None, unpatch_weights: bool = True) -> None:
        if unpatch_weights:
            for key, weight in self.backup.items():
                _set(self.model, key, weight)
            self.backup.clear()
            self.model.current_weight_patches_uuid = None
            self.model.model_loaded_weight_memory = 0
        for name, value in self.object_patches_backup.items():
            setattr(self.model, name, value)
        self.object_patches_backup.clear()

    def detach(self, unpatch_all: bool = True) -> Any:
        if unpatch_all:
            self.unpatch_model()
        return self.model


def _set(model: Any, key: str, value: torch.Tensor) -> None:
    """Puts a new parameter in place: like the real one, it wants no gradient even where the old one did."""
    path, _, name = key.rpartition(".")
    setattr(model.get_submodule(path), name, torch.nn.Parameter(value, requires_grad=False))
