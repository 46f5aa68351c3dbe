"""Double of the WebUIs' checkpoints: the list, the selected one, the loaded one.

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

    def get_sd_model(self) -> Any:
        return self.sd_model

    def set_sd_model(self, v: Any) -> None:
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


def load_model(checkpoint_info: CheckpointInfo | None = None, already_loaded_state_dict: Any = None) -> Any:
    info = checkpoint_info or select_checkpoint()
    assert model_maker is not None, "set sd_models.model_maker"
    model_data.set_sd_model(model_maker(info))
    model_data.sd_model.sd_checkpoint_info = info
    return model_data.sd_model


def reload_model_weights(sd_model: Any = None, info: CheckpointInfo | None = None, forced_reload: bool = False) -> Any:
    """Loads the selected checkpoint, or the one named, unless it is loaded."""
    info = info or select_checkpoint()
    model = sd_model or model_data.sd_model
    if model is None or model.sd_checkpoint_info.filename != info.filename or forced_reload:
        load_model(info)
    return model_data.sd_model


def apply_token_merging(sd_model: Any, token_merging_ratio: float) -> None:
    sd_model.applied_token_merged_ratio = token_merging_ratio
