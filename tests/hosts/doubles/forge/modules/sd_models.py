"""Double of Forge's checkpoints: choosing one writes down loading parameters, the next use loads what they name.

`model_maker` (not in the real module) makes the model of a file; a test sets it.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from backend import memory_management
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

    def __repr__(self) -> str:
        return str(dict(filename=self.filename, hash=self.hash))

    def register(self) -> None:
        checkpoints_list[self.title] = self
        for name in (self.title, self.name_for_extra, self.filename):
            checkpoint_aliases[name] = self


class FakeInitialModel:
    """Stands for a model until the first one is loaded."""

    def __init__(self) -> None:
        self.cond_stage_model = None


class SdModelData:
    def __init__(self) -> None:
        self.sd_model: Any = FakeInitialModel()
        self.forge_loading_parameters: dict[str, Any] = {}
        self.forge_hash = ""

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


def select_checkpoint() -> CheckpointInfo | None:
    return checkpoint_aliases.get(shared.opts.sd_model_checkpoint) or next(iter(checkpoints_list.values()), None)


@torch.inference_mode()
def forge_model_reload() -> tuple[Any, bool]:
    """Drops the former model before it loads the next, and keeps the former's hash when that fails."""
    wanted = str(model_data.forge_loading_parameters)
    if model_data.forge_hash == wanted:
        return model_data.sd_model, False
    model_data.sd_model = None
    memory_management.unload_all_models()
    info = model_data.forge_loading_parameters["checkpoint_info"]
    if info is None:
        raise ValueError("You do not have any model!")
    assert model_maker is not None, "set sd_models.model_maker"
    engine = model_maker(info)
    engine.sd_checkpoint_info, engine.filename = info, info.filename
    model_data.set_sd_model(engine)
    model_data.forge_hash = wanted
    return engine, True


def reload_model_weights(sd_model: Any = None, info: CheckpointInfo | None = None, forced_reload: bool = False) -> Any:
    """The doubles' `process_images` calls this where the real one sets options and calls `forge_model_reload`."""
    from modules_forge import main_entry

    if model_data.forge_loading_parameters.get("checkpoint_info") is not select_checkpoint():
        main_entry.refresh_model_loading_parameters()
    return forge_model_reload()[0]


def apply_token_merging(sd_model: Any, token_merging_ratio: float) -> None:
    sd_model.applied_token_merged_ratio = token_merging_ratio
