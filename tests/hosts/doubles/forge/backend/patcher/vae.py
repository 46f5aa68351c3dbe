"""Double of Forge's VAE: its network, where it runs, and how much memory that takes."""
from __future__ import annotations

from typing import Any

import torch
from backend.patcher.base import ModelPatcher


class VAE:
    def __init__(self, model: Any = None, device: Any = None, dtype: Any = None, no_init: bool = False) -> None:
        self.device = device or torch.device("cpu")
        self.vae_dtype = dtype or torch.float32
        self.first_stage_model = model.eval()
        self.patcher = ModelPatcher(model, load_device=self.device, offload_device=self.device)
        self.memory_used_encode = lambda shape, dtype: 1767 * shape[2] * shape[3] * dtype.itemsize
