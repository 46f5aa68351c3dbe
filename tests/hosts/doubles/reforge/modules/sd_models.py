"""Double of reForge's checkpoints: the list, the selected one, and all that are in memory.

`model_maker` (not in the real module) makes the model of a file; a test sets it.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from modules import paths_internal, shared

model_path = os.path.join(paths_internal.models_path, "Stable-diffusion")
checkpoints_list: dict[str, CheckpointInfo] = {}
checkpoint_aliases: dict[str, CheckpointInfo] = {}
model_maker: Callable[[CheckpointInfo], Any] | None = None


class CheckpointInfo:
    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.name = self.title = self.short_title = os.path.basename(filename)
        self.name_for_extra = self.model_name = os.path.splitext(self.name)[0]
        self.hash = self.shorthash = ""

    def register(self) -> None:
        checkpoints_list[self.title] = self
        for name in (self.title, self.name_for_extra, self.filename):
            checkpoint_aliases[name] = self


class SdModelData:
    def __init__(self) -> None:
        self.sd_model: Any = None
        self.loaded_sd_models: list[Any] = []

    def get_sd_model(self) -> Any:
        return self.sd_model

    def set_sd_model(self, v: Any, already_loaded: bool = False) -> None:
        self.sd_model = v


model_data = SdModelData()


def list_models() -> None:
    checkpoints_list.clear()
    checkpoint_aliases.clear()
    for name in sorted(os.listdir(model_path)):
        if name.endswith((".safetensors", ".ckpt")):
            CheckpointInfo(os.path.join(model_path, name)).register()


def get_closet_checkpoint_match(search_string: str) -> CheckpointInfo | None:
    return checkpoint_aliases.get(search_string)


def select_checkpoint() -> CheckpointInfo:
    """Raises `FileNotFoundError` when there is none."""
    info = get_closet_checkpoint_match(shared.opts.sd_model_checkpoint or "")
    if info is None and not checkpoints_list:
        raise FileNotFoundError("no checkpoints")
    return info or next(iter(checkpoints_list.values()))


def load_model(
    checkpoint_info: CheckpointInfo | None = None, already_loaded_state_dict: Any = None, forced_reload: bool = False
) -> Any:
    """Room is for one model: the former one is taken apart before the new one is read, also when that fails."""
    info = checkpoint_info or select_checkpoint()
    for loaded in model_data.loaded_sd_models:
        if loaded.filename == info.filename:
            return loaded
    for loaded in model_data.loaded_sd_models:
        complete_model_teardown(loaded)
    model_data.loaded_sd_models.clear()
    assert model_maker is not None, "set sd_models.model_maker"
    model = model_maker(info)
    model_data.loaded_sd_models.insert(0, model)
    model_data.set_sd_model(model)
    return model


def complete_model_teardown(model: Any) -> None:
    model.forge_objects = model.forge_objects_original = model.forge_objects_after_applying_lora = None


def reload_model_weights(sd_model: Any = None, info: CheckpointInfo | None = None, forced_reload: bool = False) -> Any:
    return load_model(info, forced_reload=forced_reload)


def unload_model_weights(model: Any = None) -> None:
    model_data.sd_model = None
