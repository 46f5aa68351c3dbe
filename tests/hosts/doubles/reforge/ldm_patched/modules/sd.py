"""Double of reForge's parts of a checkpoint around the networks: text encoder, autoencoder, and LoRAs for both."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from ldm_patched.modules import lora as lora_keys
from ldm_patched.modules.model_patcher import ModelPatcher

CPU = torch.device("cpu")


class CLIP:
    def __init__(self, cond_stage_model: Any, tokenizer: Any) -> None:
        self.cond_stage_model = cond_stage_model
        self.tokenizer = SimpleNamespace(clip_l=SimpleNamespace(tokenizer=tokenizer))
        self.patcher = ModelPatcher(cond_stage_model, CPU, CPU)

    def clone(self) -> CLIP:
        other = CLIP.__new__(CLIP)
        other.cond_stage_model, other.tokenizer = self.cond_stage_model, self.tokenizer
        other.patcher = self.patcher.clone()
        return other


class VAE:
    device = CPU
    vae_dtype = torch.float32

    def __init__(self, first_stage_model: Any) -> None:
        self.first_stage_model = first_stage_model
        self.patcher = ModelPatcher(first_stage_model, CPU, CPU)

    def memory_used_encode(self, shape: Any, dtype: torch.dtype) -> float:
        return 0.0


def load_lora_for_models(
    model: Any, clip: Any, lora: dict[str, torch.Tensor], strength_model: float, strength_clip: float,
    filename: str = "default",
) -> tuple[Any, Any]:
    """One clone of each for every LoRA that acts at all, also where nothing of it fits."""
    if not strength_model and not strength_clip:
        return model, clip
    keys = lora_keys.model_lora_keys_unet(model.model) if strength_model else {}
    keys |= lora_keys.model_lora_keys_clip(clip.cond_stage_model) if strength_clip else {}
    loaded = lora_keys.load_lora(lora, keys)
    model, clip = model.clone(), clip.clone()
    model.add_patches(loaded, strength_model)
    clip.patcher.add_patches(loaded, strength_clip)
    return model, clip
