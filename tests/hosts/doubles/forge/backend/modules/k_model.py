"""Double of what Forge wraps a U-Net in: its dtypes and its noise schedule."""
from __future__ import annotations

from typing import Any

import torch


class _Prediction(torch.nn.Module):
    def __init__(self, prediction_type: str) -> None:
        super().__init__()
        self.prediction_type = prediction_type
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        self.register_buffer("alphas_cumprod", torch.cumprod(1 - betas, dim=0).float())


class KModel(torch.nn.Module):
    def __init__(self, model: Any, diffusers_scheduler: Any, k_predictor: Any = None, config: Any = None) -> None:
        super().__init__()
        self.config = config
        self.storage_dtype = model.storage_dtype
        self.computation_dtype = model.computation_dtype
        self.diffusion_model = model
        self.predictor = k_predictor or _Prediction("epsilon")
