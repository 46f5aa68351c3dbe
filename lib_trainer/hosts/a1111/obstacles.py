"""What of AUTOMATIC1111's settings forbids training, and what to switch off; looked at in every turn."""
from __future__ import annotations

import torch


def found() -> list[str]:
    """Returns sentences; empty = nothing is in the way."""
    from modules import devices, sd_models, sd_unet

    model = sd_models.model_data.sd_model
    if model is None:
        return []  # that none is loaded says `checkpoint`
    sentences = []
    if getattr(model, "lowvram", False):
        sentences.append(
            "The WebUI moves parts of the model out of the GPU's memory while it runs (--medvram, --medvram-sdxl or "
            "--lowvram): training needs it whole. Start it without that option."
        )
    if sd_unet.current_unet is not None:
        sentences.append(
            "An alternative U-Net is active, which has no weights to train. Set Settings > Stable Diffusion > SD Unet "
            "to None and draw one picture."
        )
    if devices.fp8 and not _casts_by_itself():
        sentences.append(
            "The weights are stored in float8 and this device cannot train them so. Set Settings > Optimizations > FP8 "
            "weight to Disable."
        )
    wanted, there = torch.device(devices.device), next(model.model.diffusion_model.parameters()).device
    if not getattr(model, "lowvram", False) and wanted.type != there.type:
        sentences.append(
            f"The checkpoint was moved out of memory (it is on '{there}', not on '{wanted}'). Load it again: Settings "
            "> Actions > Load SD checkpoint to VRAM from RAM."
        )
    return sentences


def _casts_by_itself() -> bool:
    """Whether torch's autocast runs float8 weights here; else the host casts every layer's storage back and forth."""
    from modules import devices

    if torch.device(devices.device).type == "cpu":
        return True
    if torch.float32 in (devices.dtype_inference, devices.dtype):
        return False
    return not (devices.has_xpu() or devices.has_mps() or devices.cuda_no_autocast())
