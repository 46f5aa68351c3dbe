"""Double of Forge's text encoders: networks by name in one module, tokenizers by name in one object."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from backend import memory_management
from backend.patcher.base import ModelPatcher


class JointTextEncoder(torch.nn.Module):
    def __init__(self, module_dict: dict[str, torch.nn.Module]) -> None:
        super().__init__()
        for name, module in module_dict.items():
            self.add_module(name, module)


class CLIP:
    def __init__(
        self, model_dict: dict[str, torch.nn.Module] | None = None, tokenizer_dict: dict[str, Any] | None = None,
        no_init: bool = False,
    ) -> None:
        if no_init:
            return
        device = memory_management.text_encoder_device()
        self.cond_stage_model = JointTextEncoder(model_dict or {})
        self.tokenizer = SimpleNamespace(**(tokenizer_dict or {}))
        self.patcher = ModelPatcher(self.cond_stage_model, load_device=device, offload_device=device)

    def clone(self) -> CLIP:
        twin = CLIP(no_init=True)
        twin.cond_stage_model, twin.tokenizer = self.cond_stage_model, self.tokenizer
        twin.patcher = self.patcher.clone()
        return twin

    def add_patches(self, *arg: Any, **kwargs: Any) -> set[str]:
        return self.patcher.add_patches(*arg, **kwargs)
