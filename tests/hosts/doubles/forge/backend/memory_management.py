"""Double of Forge's memory management on a machine without a GPU: what is loaded, and what is merged into it."""
from __future__ import annotations

from enum import Enum
from typing import Any

import torch


class VRAMState(Enum):
    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


vram_state = VRAMState.DISABLED
current_loaded_models: list[LoadedModel] = []


class LoadedModel:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = model.load_device
        self.model_accelerated = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadedModel) and self.model is other.model

    __hash__ = None  # type: ignore[assignment]

    def model_load(self, model_gpu_memory_when_using_cpu_swap: int = -1) -> Any:
        self.model.model.to(self.device)
        self.model.refresh_loras()
        return self.model.model


def load_models_gpu(models: list[Any], memory_required: int = 0, hard_memory_preservation: int = 0) -> None:
    """A patcher that is loaded is not looked at again; a clone of it takes its place."""
    for model in models:
        loaded = LoadedModel(model)
        if loaded not in current_loaded_models:
            current_loaded_models[:] = [other for other in current_loaded_models if not model.is_clone(other.model)]
            loaded.model_load()
            current_loaded_models.insert(0, loaded)


def load_model_gpu(model: Any) -> None:
    load_models_gpu([model])


def unload_all_models() -> None:
    current_loaded_models.clear()


def text_encoder_device() -> torch.device:
    return torch.device("cpu")
