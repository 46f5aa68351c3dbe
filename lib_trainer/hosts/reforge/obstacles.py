"""What forbids training in reForge, and what to switch off; looked at in every turn."""
from __future__ import annotations

from typing import Any

from lib_trainer.hosts.reforge.loaded import in_memory

_NO_GRADIENTS = ("fp8_ops", "cublas_ops")
"""Parts of the class names of reForge's layers that gradients do not pass through."""


def found() -> list[str]:
    """Returns a sentence per obstacle; empty = nothing forbids training."""
    from ldm_patched.modules import model_management
    from modules import sd_unet

    sentences = []
    for enabled, option in (
        (model_management.sage_attention_enabled, "--use-sage-attention"),
        (model_management.sage_attention3_enabled, "--use-sage-attention3"),
        (model_management.flash_attention_enabled, "--use-flash-attention"),
    ):
        if enabled():
            sentences.append(f"Gradients do not pass through the attention of {option}. Start reForge without it.")
    if model_management.vram_state.name == "NO_VRAM":
        sentences.append("reForge was started with --always-no-vram and keeps layers in main memory, where a backward "
                         "pass does not find them. Start it without --always-no-vram.")
    if sd_unet.current_unet is not None:
        sentences.append("An alternative U-Net is active, which has no weights to train. Set Settings > Stable "
                         "Diffusion > SD Unet to None and draw one picture.")
    model = in_memory()
    return sentences if model is None else sentences + _in_model(model.forge_objects_original.unet)


def _in_model(unet: Any) -> list[str]:
    if unet.compiled:
        return ["The U-Net was compiled, and hooks do not act inside it. Start reForge without --torch-compile."]
    first = next((type(layer) for layer in unet.model.diffusion_model.modules() if hasattr(layer, "in_features")), None)
    if first is None or not any(kind in first.__qualname__ for kind in _NO_GRADIENTS):
        return []
    return [f"The U-Net runs in layers that gradients do not pass through ({first.__qualname__}). Start reForge "
            "without --fast, or choose a checkpoint that is not stored as scaled float8."]
