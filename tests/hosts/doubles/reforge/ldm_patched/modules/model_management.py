"""Double of reForge's memory management: which patcher's weights are in each network; everything is on the CPU."""
from __future__ import annotations

import enum
import weakref
from collections.abc import Sequence
from typing import Any

import torch


class VRAMState(enum.Enum):
    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


vram_state = VRAMState.DISABLED
current_loaded_models: list[LoadedModel] = []


class LoadedModel:
    """A network in memory with the patcher that it was loaded for, known weakly as in the real class."""

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)
        self.device = model.load_device

    @property
    def model(self) -> Any:
        return self._model()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadedModel) and self.model is other.model

    __hash__ = None  # type: ignore[assignment]


def load_models_gpu(
    models: Sequence[Any], memory_required: float = 0, force_patch_weights: bool = False,
    minimum_memory_required: float | None = None, force_full_load: bool = False,
) -> None:
    for model in models:
        for loaded in [one for one in current_loaded_models if one.model is None or model.is_clone(one.model)]:
            current_loaded_models.remove(loaded)
        model.partially_load(torch.device("cpu"))
        current_loaded_models.insert(0, LoadedModel(model))


def load_model_gpu(model: Any) -> None:
    load_models_gpu([model])


def unload_all_models() -> None:
    for loaded in current_loaded_models:
        if loaded.model is not None:
            loaded.model.detach()
    current_loaded_models.clear()


def sage_attention_enabled() -> bool:
    return False


def sage_attention3_enabled() -> bool:
    return False


def flash_attention_enabled() -> bool:
    return False
